//! Formats of texts.

use std::net::{Ipv4Addr, Ipv6Addr};

use base64::{Engine, engine::general_purpose::STANDARD};
use jiff::{Timestamp, civil::Date};
use regex::Regex;

/// The formats that Kubernetes knows.
pub(crate) const FORMATS: [&str; 33] = [
    "bsonobjectid",
    "uri",
    "email",
    "hostname",
    "ipv4",
    "ipv6",
    "cidr",
    "mac",
    "uuid",
    "uuid3",
    "uuid4",
    "uuid5",
    "isbn",
    "isbn10",
    "isbn13",
    "creditcard",
    "ssn",
    "hexcolor",
    "rgbcolor",
    "byte",
    "password",
    "date",
    "duration",
    "datetime",
    "date-time",
    "int32",
    "int64",
    "float",
    "double",
    "uint32",
    "uint64",
    "k8s-short-name",
    "k8s-long-name",
];

/// Whether a text is of a format. One that is not checked here fits any text.
pub(super) fn fits(format: &str, text: &str) -> bool {
    match format {
        "date-time" | "datetime" => text.parse::<Timestamp>().is_ok(),
        "date" => text.parse::<Date>().is_ok(),
        "duration" => is_duration(text),
        "byte" => STANDARD.decode(text).is_ok(),
        "ipv4" => text.parse::<Ipv4Addr>().is_ok(),
        "ipv6" => text.parse::<Ipv6Addr>().is_ok(),
        "cidr" => is_cidr(text),
        "uuid" | "uuid3" | "uuid4" | "uuid5" => is_uuid(format, text),
        _ => pattern(format)
            .is_none_or(|pattern| Regex::new(pattern).is_ok_and(|r| r.is_match(text))),
    }
}

fn pattern(format: &str) -> Option<&'static str> {
    Some(match format {
        "email" => r"^[^\s@<>]+@[^\s@<>]+$|^[^<>@]*<[^\s@<>]+@[^\s@<>]+>$",
        "hostname" => {
            r"^([a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)(\.[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)*\.?$"
        }
        "uri" => r"^([a-zA-Z][a-zA-Z0-9+.-]*:\S+|/\S*)$",
        "mac" => r"^([0-9a-fA-F]{2}[:-]){5}[0-9a-fA-F]{2}$",
        "bsonobjectid" => "^[0-9a-fA-F]{24}$",
        "hexcolor" => "^#?([0-9a-fA-F]{3}|[0-9a-fA-F]{6})$",
        "ssn" => r"^\d{3}[- ]?\d{2}[- ]?\d{4}$",
        "k8s-short-name" => "^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$",
        "k8s-long-name" => r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$",
        _ => return None,
    })
}

/// `1h30m` as Go writes it, or `2 days` as people do.
fn is_duration(text: &str) -> bool {
    let go = r"^[-+]?(0|([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|ms|s|m|h))(([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|ms|s|m|h))*$";
    let words = r"^\s*[0-9]+(\.[0-9]+)?\s*(ns|nanos?|us|micros?|ms|millis?|s|secs?|seconds?|m|mins?|minutes?|h|hrs?|hours?|d|days?|w|weeks?)\s*$";
    [go, words]
        .iter()
        .any(|pattern| Regex::new(pattern).is_ok_and(|regex| regex.is_match(text)))
}

fn is_cidr(text: &str) -> bool {
    let Some((address, length)) = text.split_once('/') else {
        return false;
    };
    let most = if address.parse::<Ipv4Addr>().is_ok() {
        32
    } else if address.parse::<Ipv6Addr>().is_ok() {
        128
    } else {
        return false;
    };
    length.parse::<u8>().is_ok_and(|length| length <= most)
}

fn is_uuid(format: &str, text: &str) -> bool {
    let Ok(uuid) = text.parse::<uuid::Uuid>() else {
        return false;
    };
    let version = format
        .strip_prefix("uuid")
        .and_then(|n| n.parse::<usize>().ok());
    version.is_none_or(|version| uuid.get_version_num() == version)
}

#[cfg(test)]
mod tests {
    use super::fits;

    #[test]
    fn texts_fit_their_formats() {
        for (format, good, bad) in [
            ("date-time", "2026-01-02T03:04:05Z", "yesterday"),
            ("date", "2026-01-02", "2026-13-02"),
            ("duration", "1h30m", "long"),
            ("byte", "aGk=", "?"),
            ("ipv4", "10.0.0.1", "a.b"),
            ("ipv6", "::1", "10.0.0.1"),
            ("cidr", "10.0.0.0/8", "10.0.0.0/33"),
            ("uuid", "6fa459ea-ee8a-3ca4-894e-db77e160355e", "6fa459ea"),
            ("email", "a@example.com", "nomail"),
            ("hostname", "a.example.com", "-a"),
            ("uri", "https://example.com", "a b"),
            ("mac", "01:23:45:67:89:ab", "01:23"),
        ] {
            assert!(fits(format, good), "{format} {good}");
            assert!(!fits(format, bad), "{format} {bad}");
        }
        assert!(fits("unheard-of", "anything"));
    }
}
