//! Which machine this is, and the certificate that it keeps from one start to the next.

use dockmaster_certs::{identity::peer_identity, key::KeyPair};
use dockmaster_client::Identity;
use dockmaster_proto::{
    id::{Digest, Serial},
    time::UnixMs,
    token::MachineId,
};
use ring::rand::SecureRandom;
use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use webpki::EndEntityCert;

use super::JoinError;
use crate::{
    root::Root,
    rundir::{self, RunDir},
};

/// Where a machine's ID stands: machine-id(5), and the firmware's own (readable by root).
const FILES: [&str; 2] = ["/etc/machine-id", "/sys/class/dmi/id/product_uuid"];

/// Which machine this is. The entrypoint of a container is none of these: what its image has was copied
/// to others, and the firmware's ID is the host's. It draws an ID of its own, and keeps it.
pub(super) fn find(
    run: &RunDir,
    root: &Root,
    random: &dyn SecureRandom,
) -> Result<MachineId, JoinError> {
    if std::process::id() == 1 {
        return drawn(run, random);
    }
    named(root).ok_or(JoinError::NoMachine)
}

fn named(root: &Root) -> Option<MachineId> {
    FILES
        .iter()
        .find_map(|file| root.read(file).ok()?.trim().parse().ok())
}

fn drawn(run: &RunDir, random: &dyn SecureRandom) -> Result<MachineId, JoinError> {
    let kept = run.read(rundir::MACHINE_ID)?;
    let kept = kept.and_then(|bytes| std::str::from_utf8(&bytes).ok()?.trim().parse().ok());
    if let Some(kept) = kept {
        return Ok(kept);
    }
    let mut bytes = [0; 16];
    let drawn = random.fill(&mut bytes);
    drawn.map_err(|_| dockmaster_certs::key::KeyError::NoRandomness)?;
    let machine = MachineId::from_bytes(bytes);
    run.write_durably(rundir::MACHINE_ID, machine.expose().as_bytes())?;
    Ok(machine)
}

/// The certificate of an earlier start, with its key.
#[derive(Debug)]
pub struct Kept {
    /// What a connection shows.
    pub identity: Identity,
    /// Its key: it brings the machine back when the certificate counts no more.
    pub key: KeyPair,
    /// Its serial number.
    pub serial: Serial,
    /// Valid until.
    pub not_after: UnixMs,
}

impl Kept {
    /// The one in the run dir. What cannot be read, or is no pair, is none.
    #[must_use]
    pub fn load(run: &RunDir) -> Option<Self> {
        let text = String::from_utf8(run.read(rundir::MACHINE).ok()??).ok()?;
        let leaf = CertificateDer::from_pem_slice(text.as_bytes()).ok()?;
        let key = KeyPair::from_pem(&text).ok()?;
        let parsed = EndEntityCert::try_from(&leaf).ok()?;
        if Digest::of(&parsed.subject_public_key_info()) != key.public_key().spki_sha256() {
            return None;
        }
        let names = peer_identity(&leaf).ok()?;
        let (chain, _) = text.split_once(KEY_BEGINS)?;
        Some(Self {
            identity: Identity {
                chain: chain.to_owned(),
                key: key.to_pem(),
            },
            key,
            serial: names.serial,
            not_after: names.not_after,
        })
    }

    /// The text of the file: the chain and its key, so that they are replaced together.
    #[must_use]
    pub fn text(identity: &Identity) -> String {
        format!("{}{}", identity.chain, identity.key)
    }
}

/// Where the certificates end and the key begins.
const KEY_BEGINS: &str = "-----BEGIN PRIVATE KEY-----";

#[cfg(test)]
mod tests {
    use std::fs;

    use ring::rand::SystemRandom;

    use super::*;

    #[test]
    fn a_machine_is_what_its_own_file_says_and_else_what_its_firmware_says() {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::new(dir.path());
        assert!(named(&root).is_none());
        let write = |path: &str, text: &str| {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write(FILES[0], "uninitialized\n");
        assert!(named(&root).is_none());
        let firmware = "4C4C4544-0053-1031-8036-B7C04F333333";
        write(FILES[1], &format!("{firmware}\n"));
        assert_eq!(named(&root), firmware.parse().ok());
        write(FILES[0], &format!("{}\n", "ab".repeat(16)));
        assert_eq!(named(&root), "ab".repeat(16).parse().ok());
    }

    #[test]
    fn what_was_drawn_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let run = RunDir::create(dir.path()).unwrap();
        let random = SystemRandom::new();
        let first = drawn(&run, &random).unwrap();
        assert_eq!(drawn(&run, &random).unwrap(), first);
        run.remove(rundir::MACHINE_ID).unwrap();
        assert_ne!(drawn(&run, &random).unwrap(), first);
    }

    #[test]
    fn half_a_certificate_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let run = RunDir::create(dir.path()).unwrap();
        let key = KeyPair::generate(&SystemRandom::new()).unwrap();
        for text in ["", "garbage", &key.to_pem()] {
            run.write(rundir::MACHINE, text.as_bytes()).unwrap();
            assert!(Kept::load(&run).is_none(), "{text}");
        }
    }
}
