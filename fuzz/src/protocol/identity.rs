//! Identifiers, certificates and the phrase.

use std::fmt::{Debug, Display};
use std::str::FromStr;
use std::sync::LazyLock;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tincan_protocol::cert::{CERT_LEN, DeviceCert};
use tincan_protocol::keys::{DeviceKey, IdentityKey};
use tincan_protocol::labels::Label;
use tincan_protocol::phrase::{PHRASE_WORDS, Phrase, PhraseError};
use tincan_protocol::{
    ConversationId, DeviceId, EnvelopeId, IdentityId, LinkSessionId, QueueId, SignalAddress,
    StoreId, WriteToken,
};

use crate::bounded::bounded;
use crate::script::Script;

/// Identifiers as text, alone and in JSON.
pub fn ids(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Some(identity) = id::<IdentityId>(text) {
        // Bech32 may be written in capitals, in QR codes above all.
        assert_eq!(identity.to_string(), text.to_ascii_lowercase());
    }
    fn canonical<T: Id>(text: &str) {
        if let Some(id) = id::<T>(text) {
            assert_eq!(id.to_string(), text, "two texts for one id");
        }
    }
    canonical::<DeviceId>(text);
    canonical::<SignalAddress>(text);
    canonical::<QueueId>(text);
    canonical::<StoreId>(text);
    canonical::<EnvelopeId>(text);
    canonical::<LinkSessionId>(text);
    canonical::<WriteToken>(text);
    canonical::<ConversationId>(text);
}

trait Id: FromStr + Display + Debug + PartialEq + Serialize + DeserializeOwned {}
impl<T: FromStr + Display + Debug + PartialEq + Serialize + DeserializeOwned> Id for T {}

fn id<T: Id>(text: &str) -> Option<T> {
    let id = bounded(text.len(), || text.parse::<T>()).ok();
    let json = serde_json::to_string(text).unwrap();
    let in_json = serde_json::from_str::<T>(&json).ok();
    assert_eq!(id, in_json, "JSON takes other texts");
    let id = id?;
    assert_eq!(id.to_string().parse::<T>().ok().as_ref(), Some(&id));
    let json = serde_json::to_string(&id).unwrap();
    assert_eq!(json, format!("\"{id}\""));
    Some(id)
}

/// Certificates: as they are, and with a right signature over whatever fields.
pub fn device_cert(data: &[u8]) {
    cert(data);
    let key = &*IDENTITY_KEY;
    let mut script = Script::new(data);
    let (version, device) = (script.byte(), script.array::<32>());
    let (created, expires) = (script.number(), script.number());
    let body = [
        [version].as_slice(),
        key.identity().as_bytes(),
        &device,
        &created.to_be_bytes(),
        &expires.to_be_bytes(),
    ]
    .concat();
    let signed = [body.as_slice(), &key.sign(Label::DeviceCert, &[&body])].concat();
    let read = cert(&signed);
    assert_eq!(read.is_some(), version == 1, "a signature that holds");
    if let Some(cert) = read {
        assert_eq!(cert.identity(), key.identity());
        assert_eq!(cert.device(), DeviceId::from_bytes(device));
        assert_eq!(cert.expires_ms(), expires);
        assert_eq!(cert.check_time(created).is_ok(), created < expires);
    }
    // Whatever byte is changed, nobody signed that.
    let at = usize::from(script.byte()) % signed.len();
    let mut forged = signed;
    forged[at] ^= script.byte().max(1);
    assert_eq!(cert(&forged), None);
}

fn cert(bytes: &[u8]) -> Option<DeviceCert> {
    let cert = bounded(bytes.len(), || DeviceCert::decode(bytes)).ok()?;
    assert_eq!(bytes.len(), CERT_LEN);
    assert_eq!(cert.encode(), bytes, "two encodings of one certificate");
    Some(cert)
}

/// The phrase: any text, any entropy, and the words of an entropy with one of them exchanged.
pub fn phrase(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data)
        && let Ok(phrase) = bounded(data.len(), || Phrase::parse(text))
    {
        let words: Vec<String> = text.split_whitespace().map(str::to_lowercase).collect();
        assert_eq!(words.len(), PHRASE_WORDS);
        assert_eq!(*phrase.words(), words.join(" "), "other words were read");
    }
    let mut script = Script::new(data);
    let (one, other) = (
        Phrase::from_entropy(script.array()),
        Phrase::from_entropy(script.array()),
    );
    let reread = Phrase::parse(&one.words()).unwrap();
    assert_eq!(reread.entropy(), one.entropy());
    let at = usize::from(script.byte()) % PHRASE_WORDS;
    let (words, others) = (one.words(), other.words());
    let mut mixed: Vec<&str> = words.split(' ').collect();
    mixed[at] = others.split(' ').nth(at).unwrap();
    match Phrase::parse(&mixed.join(" ")) {
        Ok(phrase) => assert_eq!(*phrase.words(), mixed.join(" ")),
        Err(error) => assert_eq!(error, PhraseError::Checksum),
    }
}

/// The identity that targets certify with, the device that they sign with, and its certificate: made
/// once, because with instrumentation a signature takes a millisecond.
pub(crate) static IDENTITY_KEY: LazyLock<IdentityKey> =
    LazyLock::new(|| IdentityKey::from_seed(&[1; 32]));
pub(crate) static DEVICE_KEY: LazyLock<DeviceKey> =
    LazyLock::new(|| DeviceKey::from_seed(&[2; 32]));
pub(crate) static CERT: LazyLock<DeviceCert> =
    LazyLock::new(|| DeviceCert::issue(&IDENTITY_KEY, DEVICE_KEY.device(), 1_900_000_000_000));
