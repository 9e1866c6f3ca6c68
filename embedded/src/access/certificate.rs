//! The user that a client's certificate names: the common name, and the organizations as groups.
//! The certificate has been verified before; here it is only read.

use super::User;

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const OBJECT_ID: u8 = 0x06;
const VERSION: u8 = 0xa0;
/// `2.5.4.3` and `2.5.4.10`.
const COMMON_NAME: [u8; 3] = [0x55, 0x04, 0x03];
const ORGANIZATION: [u8; 3] = [0x55, 0x04, 0x0a];

/// The user of a certificate; `None` when it names none.
pub(crate) fn user(certificate: &[u8]) -> Option<User> {
    let (mut name, mut groups) = (None, Vec::new());
    for set in elements(subject(certificate)?)? {
        for pair in elements(content(set, SET)?)? {
            let parts = elements(content(pair, SEQUENCE)?)?;
            let [key, value] = parts.as_slice() else {
                return None;
            };
            let key = content(*key, OBJECT_ID)?;
            let text = String::from_utf8(value.1.to_vec()).ok()?;
            if key == COMMON_NAME {
                name = Some(text);
            } else if key == ORGANIZATION {
                groups.push(text);
            }
        }
    }
    let name = name.filter(|name| !name.is_empty())?;
    Some(User::authenticated(&name, groups))
}

/// The content of the subject.
fn subject(certificate: &[u8]) -> Option<&[u8]> {
    let whole = content(*elements(certificate)?.first()?, SEQUENCE)?;
    let signed = content(*elements(whole)?.first()?, SEQUENCE)?;
    let fields = elements(signed)?;
    // Version (which may be left out), serial number, algorithm, issuer, validity, subject.
    let skipped = usize::from(fields.first()?.0 == VERSION) + 4;
    content(*fields.get(skipped)?, SEQUENCE)
}

fn content((tag, content): (u8, &[u8]), wanted: u8) -> Option<&[u8]> {
    (tag == wanted).then_some(content)
}

/// The elements one after the other: their tags and contents.
fn elements(mut bytes: &[u8]) -> Option<Vec<(u8, &[u8])>> {
    let mut elements = Vec::new();
    while let [tag, first, rest @ ..] = bytes {
        let (length, rest) = match *first {
            short @ 0..=0x7f => (usize::from(short), rest),
            long => {
                let size = usize::from(long & 0x7f);
                let (digits, rest) = rest.split_at_checked(size)?;
                if size > 4 {
                    return None;
                }
                let length = digits
                    .iter()
                    .fold(0, |sum, digit| sum << 8 | usize::from(*digit));
                (length, rest)
            }
        };
        let (content, rest) = rest.split_at_checked(length)?;
        elements.push((*tag, content));
        bytes = rest;
    }
    bytes.is_empty().then_some(elements)
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair};

    use super::user;

    fn certificate(subject: &[(DnType, &str)]) -> Vec<u8> {
        let mut params = CertificateParams::new(vec!["x".repeat(200)]).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        for (kind, text) in subject {
            params.distinguished_name.push(kind.clone(), *text);
        }
        let key = KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap().der().to_vec()
    }

    #[test]
    fn the_subject_names_a_user_and_a_group() {
        let named = certificate(&[
            (DnType::CountryName, "DE"),
            (DnType::OrganizationName, "crew"),
            (DnType::CommonName, "ann"),
        ]);
        let ann = user(&named).unwrap();
        assert_eq!(ann.name, "ann");
        assert_eq!(ann.groups, ["crew", "system:authenticated"]);
        assert_eq!(user(&certificate(&[])), None);
        for end in 0..named.len() {
            assert_eq!(user(&named[..end]), None);
        }
    }
}
