//! What authorities are made of, as the data directory has it: certificates, keys, the roots' lists.
//!
//! `init` wrote each authority into files of its own. What is made later is added to one file,
//! `ca/authorities.pem`, in one step and *before* the log says that it counts; so a crash leaves
//! either something that the log does not name, and that the next change removes, or all of it.
//! The files of `init` then become copies of what counts now, for people and other programs.

use std::{
    fs, io,
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use dockmaster_certs::{
    authority::{Authority, AuthorityError},
    bundle::{BundleError, TrustBundle},
    crl, pem,
};
use dockmaster_proto::id::Digest;
use rustls_pki_types::{
    CertificateDer, CertificateRevocationListDer, PrivatePkcs8KeyDer, pem::PemObject as _,
};

use crate::{
    authorities::Signing,
    datadir::{DataDir, Readers},
    state::AuthorityState,
};

/// The largest file that is read, in bytes.
const MAX_BYTES: u64 = 1 << 20;

/// Why the material cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum MaterialError {
    /// A file cannot be read or written.
    #[error("{path} cannot be used", path = .path.display())]
    Io {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The log names something that is not there.
    #[error(
        "the log names the authority {0} and ca/ has no certificate or key for it; put ca/authorities.pem back from a backup"
    )]
    Missing(Digest),
    /// The log does not say which authorities count.
    #[error(
        "the log does not say which authorities count; was the installation made by \"dockmaster init\"?"
    )]
    Unnamed,
    /// A certificate is no authority.
    #[error("an authority in ca/ cannot be used")]
    Authority(#[from] AuthorityError),
    /// The bundle cannot be made.
    #[error("the trust bundle cannot be made")]
    Bundle(#[from] BundleError),
}

/// Everything that is there.
#[derive(Debug, Default)]
pub struct Material {
    certificates: Vec<CertificateDer<'static>>,
    /// PKCS#8 in PEM. `Debug` of this type is never printed: see the field's own type.
    keys: Vec<SecretPem>,
    lists: Vec<CertificateRevocationListDer<'static>>,
    /// The verifier key of the log, from the bundle.
    log_key: String,
}

/// A private key in PEM.
struct SecretPem(String);

impl std::fmt::Debug for SecretPem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SecretPem")
    }
}

impl Material {
    /// Reads it.
    ///
    /// # Errors
    /// When a file cannot be read, or the bundle is none.
    pub fn load(dir: &DataDir) -> Result<Self, MaterialError> {
        let mut material = Self::default();
        let bundle = read(&dir.bundle())?.unwrap_or_default();
        TrustBundle::parse(&bundle)?
            .log_key()
            .clone_into(&mut material.log_key);
        material.add_text(&bundle);
        for name in [
            "authorities.pem",
            "root.pem",
            "root.key",
            "root-next.key",
            "root.crl",
        ] {
            material.add_text(&read(&dir.ca().join(name))?.unwrap_or_default());
        }
        for name in ["intermediate", "infra"] {
            for kind in ["pem", "key"] {
                let path = dir.ca().join(format!("{name}.{kind}"));
                material.add_text(&read(&path)?.unwrap_or_default());
            }
        }
        Ok(material)
    }

    fn add_text(&mut self, text: &str) {
        let bytes = text.as_bytes();
        for certificate in CertificateDer::pem_slice_iter(bytes).flatten() {
            self.add_certificate(certificate);
        }
        for key in PrivatePkcs8KeyDer::pem_slice_iter(bytes).flatten() {
            let pem = pem::private_key(key.secret_pkcs8_der());
            if !self.keys.iter().any(|known| known.0 == pem) {
                self.keys.push(SecretPem(pem));
            }
        }
        for list in CertificateRevocationListDer::pem_slice_iter(bytes).flatten() {
            if !self.lists.contains(&list) {
                self.lists.push(list);
            }
        }
    }

    /// Adds a certificate.
    pub fn add_certificate(&mut self, certificate: CertificateDer<'static>) {
        if !self.certificates.contains(&certificate) {
            self.certificates.push(certificate);
        }
    }

    /// Adds an authority with its key.
    pub fn add(&mut self, authority: &Authority) {
        self.add_certificate(authority.certificate().clone());
        self.keys.push(SecretPem(authority.key_pem()));
    }

    /// Adds a root's own list in PEM.
    pub fn add_list(&mut self, list: &str) {
        self.add_text(list);
    }

    /// The certificate of this digest.
    ///
    /// # Errors
    /// When it is not there.
    pub fn certificate(&self, digest: &Digest) -> Result<CertificateDer<'static>, MaterialError> {
        let found = self
            .certificates
            .iter()
            .find(|certificate| Digest::of(certificate) == *digest);
        found.cloned().ok_or(MaterialError::Missing(*digest))
    }

    /// The authority of this digest with its key; none where the key is not there.
    ///
    /// # Errors
    /// When the certificate is not there or none of an authority.
    pub fn find(&self, digest: &Digest) -> Result<Option<Authority>, MaterialError> {
        let certificate = pem::certificate(&self.certificate(digest)?);
        for key in &self.keys {
            match Authority::from_pem(&certificate, &key.0) {
                Err(AuthorityError::KeyMismatch) => {}
                other => return Ok(Some(other?)),
            }
        }
        Ok(None)
    }

    fn authority(&self, digest: &Digest) -> Result<Authority, MaterialError> {
        self.find(digest)?.ok_or(MaterialError::Missing(*digest))
    }

    /// A bundle of these roots.
    ///
    /// # Errors
    /// When one is not there.
    pub fn bundle(&self, roots: &[Digest]) -> Result<TrustBundle, MaterialError> {
        let roots = roots
            .iter()
            .map(|root| self.certificate(root))
            .collect::<Result<_, _>>()?;
        Ok(TrustBundle::new(roots, &self.log_key)?)
    }

    /// What a master signs with when the log says this.
    ///
    /// # Errors
    /// When something is not there.
    pub fn signing(&self, state: &AuthorityState) -> Result<Signing, MaterialError> {
        let signing = state.signing();
        let bundle = self.bundle(&state.roots())?;
        let mut retired = Vec::new();
        let mut earlier: Vec<Digest> = state.retired.clone();
        // Both of a rotation sign lists, whichever signs certificates.
        earlier.push(state.current.containers);
        earlier.extend(state.rotation.map(|rotation| rotation.next.containers));
        for digest in earlier
            .iter()
            .filter(|digest| **digest != signing.containers)
        {
            // One that is not there any more signed nothing that is still in its time; and a list that
            // leads to no trusted root would spoil the others for whoever reads them.
            if let Ok(Some(authority)) = self.find(digest)
                && crl::leads_to(authority.certificate(), &bundle)
            {
                retired.push(authority);
            }
        }
        let lists = self.lists.iter().map(|list| crl::to_pem(list));
        let root_lists: String = lists
            .filter(|list| crl::check(list, &[], &bundle).is_ok())
            .collect();
        let cross = state.rotation.map(|rotation| rotation.cross);
        let mut bundles = vec![bundle.clone()];
        if let Some(rotation) = &state.rotation {
            bundles.push(self.bundle(&[state.current.root])?);
            bundles.push(self.bundle(&[rotation.next.root])?);
        }
        Ok(Signing {
            containers: self.authority(&signing.containers)?,
            infrastructure: self.authority(&state.current.infra)?,
            operators: self.authority(&signing.infra)?,
            cross: cross.map(|cross| self.certificate(&cross)).transpose()?,
            bundle: bundle.into(),
            bundles,
            retired,
            root_lists,
        })
    }

    /// Writes `ca/authorities.pem`: what the log names and, beside it, `more` that it will name.
    ///
    /// # Errors
    /// When the file cannot be written; the old one is then still there.
    pub fn save(
        &self,
        dir: &DataDir,
        state: &AuthorityState,
        more: &[Digest],
    ) -> Result<(), MaterialError> {
        let mut named = vec![
            state.current.root,
            state.current.containers,
            state.current.infra,
        ];
        named.extend(&state.retired);
        if let Some(rotation) = &state.rotation {
            let next = rotation.next;
            named.extend([next.root, next.containers, next.infra, rotation.cross]);
        }
        named.extend(more);
        let roots: Vec<Digest> = self.root_digests();
        let mut text = String::new();
        for digest in &named {
            let Ok(certificate) = self.certificate(digest) else {
                continue;
            };
            text += &pem::certificate(&certificate);
            // A root's key has a file of its own, that can be taken away.
            if !roots.contains(digest)
                && let Ok(Some(authority)) = self.find(digest)
            {
                text += &authority.key_pem();
            }
        }
        for list in &self.lists {
            text += &crl::to_pem(list);
        }
        replace(&dir.ca().join("authorities.pem"), &text, Readers::Owner)
    }

    fn root_digests(&self) -> Vec<Digest> {
        self.certificates
            .iter()
            .filter(|certificate| crl::is_root(certificate))
            .map(|certificate| Digest::of(certificate))
            .collect()
    }
}

/// Makes the files of `init` copies of what counts now, as far as they are not.
///
/// # Errors
/// When one cannot be written.
pub fn copy_out(
    dir: &DataDir,
    material: &Material,
    state: &AuthorityState,
) -> Result<(), MaterialError> {
    let signing = material.signing(state)?;
    let root = material.certificate(&state.current.root)?;
    let containers = material.authority(&state.containers())?;
    let infra = &signing.infrastructure;
    let ca = dir.ca();
    for (name, text, readers) in [
        ("bundle.pem", signing.bundle.to_pem(), Readers::Everybody),
        ("root.pem", pem::certificate(&root), Readers::Everybody),
        ("root.crl", signing.root_lists.clone(), Readers::Everybody),
        ("intermediate.key", containers.key_pem(), Readers::Owner),
        (
            "intermediate.pem",
            containers.certificate_pem(),
            Readers::Everybody,
        ),
        ("infra.key", infra.key_pem(), Readers::Owner),
        ("infra.pem", infra.certificate_pem(), Readers::Everybody),
    ] {
        let path = ca.join(name);
        if read(&path)?.unwrap_or_default() != text {
            replace(&path, &text, readers)?;
        }
    }
    // The key of a root that became the root.
    let next = ca.join("root-next.key");
    if state.rotation.is_none()
        && let Some(key) = read(&next)?
    {
        if Authority::from_pem(&pem::certificate(&root), &key).is_ok() {
            rename(&next, &ca.join("root.key"))?;
        } else {
            // Of a root that was taken back, or that never came to count.
            fs::remove_file(&next).map_err(failed(&next))?;
        }
    }
    Ok(())
}

/// Writes the key of a root that is to come.
///
/// # Errors
/// When it cannot be written.
pub fn save_root_key(dir: &DataDir, root: &Authority) -> Result<(), MaterialError> {
    let path = dir.ca().join("root-next.key");
    replace(&path, &root.key_pem(), Readers::Owner)
}

fn read(path: &Path) -> Result<Option<String>, MaterialError> {
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Ok(metadata) if metadata.len() <= MAX_BYTES => {}
        Ok(_) => return Err(failed(path)(io::ErrorKind::FileTooLarge.into())),
        Err(error) => return Err(failed(path)(error)),
    }
    fs::read_to_string(path).map(Some).map_err(failed(path))
}

/// Replaces a file in one step, and returns when it is on the disk.
fn replace(path: &Path, text: &str, readers: Readers) -> Result<(), MaterialError> {
    let staged = path.with_extension("new");
    let mode = match readers {
        Readers::Everybody => 0o644,
        Readers::Owner => 0o600,
    };
    let write = || {
        match fs::remove_file(&staged) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut options = fs::OpenOptions::new();
        let mut file = options
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(&staged)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()
    };
    write().map_err(failed(&staged))?;
    rename(&staged, path)
}

fn rename(from: &Path, to: &Path) -> Result<(), MaterialError> {
    fs::rename(from, to).map_err(failed(to))?;
    let folder = to.parent().unwrap_or(to);
    fs::File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(failed(folder))
}

fn failed(path: &Path) -> impl Fn(io::Error) -> MaterialError {
    let path = path.to_owned();
    move |source| MaterialError::Io {
        path: path.clone(),
        source,
    }
}
