//! What somebody could sign who stole a key of ours, with another library than ours around it.

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, SanType,
};

use crate::house::{Chain, House};

/// Somebody with a certificate and its private key.
pub(crate) struct Thief {
    issuer: Issuer<'static, KeyPair>,
    above: String,
}

impl Thief {
    /// Who stole the key of a house's container authority.
    pub(crate) fn of_authority(house: &House) -> Self {
        Self::new(
            &house.containers.certificate_pem(),
            &house.containers.key_pem(),
            "",
        )
    }

    /// Who has a container's certificate, which is no authority's.
    pub(crate) fn of_container(container: &Chain) -> Self {
        const END: &str = "-----END CERTIFICATE-----\n";
        let (leaf, above) = container.chain.split_once(END).unwrap();
        Self::new(&format!("{leaf}{END}"), &container.key, above)
    }

    fn new(certificate: &str, key: &str, above: &str) -> Self {
        let key = KeyPair::from_pem(key).unwrap();
        Self {
            issuer: Issuer::from_ca_cert_pem(certificate, key).unwrap(),
            above: format!("{certificate}{above}"),
        }
    }

    /// Makes an authority below the stolen one, which its path length forbids.
    pub(crate) fn below(&self) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = params(no_name());
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let certificate = params.signed_by(&key, &self.issuer).unwrap().pem();
        Self::new(&certificate, &key.serialize_pem(), &self.above)
    }

    /// A leaf that names this IP.
    pub(crate) fn ip(&self, ip: &str) -> Chain {
        self.sign(no_name(), SanType::IpAddress(ip.parse().unwrap()))
    }

    /// A leaf that names this DNS name.
    pub(crate) fn dns(&self, name: &str) -> Chain {
        self.sign(no_name(), SanType::DnsName(name.try_into().unwrap()))
    }

    /// A leaf with this common name, and an IP among its alternative names.
    pub(crate) fn common_name(&self, name: &str, ip: &str) -> Chain {
        let mut subject = DistinguishedName::new();
        subject.push(DnType::CommonName, name);
        self.sign(subject, SanType::IpAddress(ip.parse().unwrap()))
    }

    fn sign(&self, subject: DistinguishedName, name: SanType) -> Chain {
        let key = KeyPair::generate().unwrap();
        let mut params = params(subject);
        params.subject_alt_names = vec![name];
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        let leaf = params.signed_by(&key, &self.issuer).unwrap().pem();
        Chain {
            chain: leaf + &self.above,
            key: key.serialize_pem(),
        }
    }
}

/// A subject that nobody takes for a DNS name, as some do with a common name.
fn no_name() -> DistinguishedName {
    let mut subject = DistinguishedName::new();
    subject.push(DnType::OrganizationName, "thief");
    subject
}

fn params(subject: DistinguishedName) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = subject;
    params.use_authority_key_identifier_extension = true;
    params
}
