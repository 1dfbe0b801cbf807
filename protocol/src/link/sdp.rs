//! The little that must be read from an SDP before it is handed to the WebRTC stack.

use crate::limits::SDP_MAX;

/// Why an SDP is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SdpError {
    /// Longer than [`SDP_MAX`].
    #[error("SDP has {len} bytes, at most {SDP_MAX} are allowed")]
    TooLarge {
        /// Length found, in bytes.
        len: usize,
    },
    /// A link has exactly one media section, of data channels.
    #[error("SDP must have one m=application section and no other")]
    Media,
    /// No fingerprint at all.
    #[error("SDP has no SHA-256 fingerprint")]
    NoFingerprint,
    /// A fingerprint of another hash, or one that cannot be read.
    #[error("SDP has a fingerprint that is not SHA-256")]
    ForeignFingerprint,
    /// Two certificates.
    #[error("SDP has two different fingerprints")]
    TwoFingerprints,
}

/// The one certificate fingerprint of an SDP with exactly one `m=application` section.
///
/// # Errors
/// [`SdpError`].
pub fn fingerprint(sdp: &str) -> Result<[u8; 32], SdpError> {
    if sdp.len() > SDP_MAX {
        return Err(SdpError::TooLarge { len: sdp.len() });
    }
    check_media(sdp)?;
    let mut found = None;
    for line in lines(sdp) {
        // Attribute names are compared without case, so that a fingerprint line which some parser
        // would still read never goes unchecked here.
        let Some(value) = attribute(line, "fingerprint:") else {
            continue;
        };
        let fingerprint = parse(value).ok_or(SdpError::ForeignFingerprint)?;
        match found {
            None => found = Some(fingerprint),
            Some(earlier) if earlier == fingerprint => {}
            Some(_) => return Err(SdpError::TwoFingerprints),
        }
    }
    found.ok_or(SdpError::NoFingerprint)
}

fn check_media(sdp: &str) -> Result<(), SdpError> {
    let mut sections =
        lines(sdp).filter(|line| line.trim_start().to_ascii_lowercase().starts_with("m="));
    match (sections.next(), sections.next()) {
        (Some(section), None) if section.starts_with("m=application ") => Ok(()),
        _ => Err(SdpError::Media),
    }
}

fn lines(sdp: &str) -> impl Iterator<Item = &str> {
    // Some parsers end a line at a lone carriage return.
    sdp.split(['\r', '\n']).filter(|line| !line.is_empty())
}

fn attribute<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let line = line.trim_start();
    let (head, rest) = line.split_at_checked(2 + name.len())?;
    head.eq_ignore_ascii_case(&format!("a={name}"))
        .then_some(rest)
}

/// `sha-256 AB:CD:...`
fn parse(value: &str) -> Option<[u8; 32]> {
    let (hash, digits) = value.trim().split_once(' ')?;
    if !hash.eq_ignore_ascii_case("sha-256") {
        return None;
    }
    let mut bytes = [0; 32];
    let mut parts = digits.trim().split(':');
    for byte in &mut bytes {
        // `from_str_radix` alone would take a sign as well.
        let is_byte =
            |part: &&str| part.len() == 2 && part.bytes().all(|it| it.is_ascii_hexdigit());
        let part = parts.next().filter(is_byte)?;
        *byte = u8::from_str_radix(part, 16).ok()?;
    }
    parts.next().is_none().then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sdp(fingerprints: &[String]) -> String {
        let mut text = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\n".to_owned();
        for fingerprint in fingerprints {
            text += &format!("a=fingerprint:sha-256 {fingerprint}\r\n");
        }
        text + "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:0\r\n"
    }

    fn digits(byte: u8) -> String {
        vec![format!("{byte:02X}"); 32].join(":")
    }

    #[test]
    fn the_fingerprint_is_read() {
        assert_eq!(fingerprint(&sdp(&[digits(0xab)])), Ok([0xab; 32]));
        assert_eq!(fingerprint(&sdp(&[digits(1), digits(1)])), Ok([1; 32]));
    }

    #[test]
    fn what_could_hide_a_second_certificate_is_refused() {
        assert_eq!(fingerprint(&sdp(&[])), Err(SdpError::NoFingerprint));
        assert_eq!(
            fingerprint(&sdp(&[digits(1), digits(2)])),
            Err(SdpError::TwoFingerprints)
        );
        let media = sdp(&[digits(1)]) + "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\n";
        assert_eq!(fingerprint(&media), Err(SdpError::Media));
        let audio = sdp(&[digits(1)]).replace("m=application", "m=audio");
        assert_eq!(fingerprint(&audio), Err(SdpError::Media));
        for line in [
            "a=fingerprint:sha-1 AB:CD",
            "A=Fingerprint:sha-512 AB",
            "a=fingerprint:",
            " a=fingerprint:md5 00",
        ] {
            let text = format!("{}{line}\r\n", sdp(&[digits(1)]));
            assert_eq!(
                fingerprint(&text),
                Err(SdpError::ForeignFingerprint),
                "{line}"
            );
        }
        let lone_return = sdp(&[digits(1)]) + "a=x\ra=fingerprint:sha-256 " + &digits(2);
        assert_eq!(fingerprint(&lone_return), Err(SdpError::TwoFingerprints));
    }

    #[test]
    fn the_longest_sdp_passes_and_one_byte_more_does_not() {
        let text = sdp(&[digits(1)]);
        let of = |len: usize| format!("{text}a=x{}\r\n", "x".repeat(len - text.len() - 5));
        assert_eq!(fingerprint(&of(SDP_MAX)), Ok([1; 32]));
        let len = SDP_MAX + 1;
        assert_eq!(fingerprint(&of(len)), Err(SdpError::TooLarge { len }));
    }

    #[test]
    fn regression_a_sign_is_no_digit_of_a_fingerprint() {
        let signed = digits(0x0a).replacen("0A", "+A", 1);
        assert_eq!(
            fingerprint(&sdp(&[signed])),
            Err(SdpError::ForeignFingerprint)
        );
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "(a=fingerprint:|m=application |sha-256 |[0-9a-f:é\r\n ]){0,40}") {
            let _ = fingerprint(&text);
        }
    }
}
