//! What `tincan-mls` reads: real messages, Welcomes and key packages in which something was changed.
//!
//! They are made anew in every process, because MLS draws its keys at random; a script says what is
//! changed, so that it means the same whatever the bytes are.

mod devices;
mod edits;

use tincan_mls::{Mls, OpenError};

use self::devices::{NOW_MS, with_devices};
use self::edits::edit;
use crate::bounded::bounded;
use crate::script::Script;

/// What the seeds are made with.
pub(crate) mod shared {
    pub(crate) use super::edits::Edit;
}

/// Application messages.
pub fn mls_message(data: &[u8]) {
    // Reading the header of any bytes takes no more room than they do.
    let _ = bounded(data.len(), || Mls::group_of(data));
    with_devices(|devices| {
        let (mut script, group) = (Script::new(data), devices.group.clone());
        let payload = script.chunk();
        let sealed = devices.alice.seal(&group, payload).unwrap();
        let edited = edit(&sealed, &mut script);
        for bytes in [data, &edited] {
            if bytes == sealed {
                continue;
            }
            let refused = devices.bob.open(bytes).expect_err("nobody sealed that");
            assert!(!matches!(refused, OpenError::Library(_)), "{refused:?}");
            assert_eq!(devices.bob.take_changes(), [], "{refused:?} and a change");
        }
        // Whatever was tried with it, the real one opens, and once.
        let opened = devices.bob.open(&sealed).unwrap();
        assert_eq!(
            (opened.payload.as_slice(), &opened.group),
            (payload, &group)
        );
        assert_eq!(opened.sender.identity, devices.alice_identity);
        let again = devices.bob.open(&sealed);
        assert!(matches!(again, Err(OpenError::KeyGone)), "{again:?}");
        let _ = (devices.alice.take_changes(), devices.bob.take_changes());
    });
}

/// Welcomes. The key package is a last-resort one, which may be used more than once.
pub fn mls_welcome(data: &[u8]) {
    with_devices(|devices| {
        let welcome = devices.welcome.clone();
        let edited = edit(&welcome, &mut Script::new(data));
        for bytes in [data, &edited, &welcome] {
            match devices.bob.join(bytes, NOW_MS) {
                // What is not for us is not signed: it may be changed, and makes no other group.
                Ok(joined) => {
                    assert_eq!(joined.group, devices.next_group);
                    assert_eq!(joined.inviter.identity, devices.alice_identity);
                    assert_eq!(joined.members.len(), 2);
                    assert!(devices.bob.delete_group(&joined.group).unwrap());
                    let _ = devices.bob.take_changes();
                }
                Err(error) => {
                    assert!(bytes != welcome, "the real one: {error}");
                    assert_eq!(devices.bob.take_changes(), [], "{error} and a change");
                }
            }
            assert!(devices.bob.groups().eq([&devices.group]));
        }
    });
}

/// Key packages.
pub fn key_package(data: &[u8]) {
    with_devices(|devices| {
        let real = devices.key_package.clone();
        let edited = edit(&real, &mut Script::new(data));
        for bytes in [data, &edited] {
            if bytes == real {
                continue;
            }
            let bob = devices.bob_identity;
            let made = devices.alice.create_direct_group(bytes, &bob, NOW_MS);
            assert!(made.is_err(), "a key package that nobody signed");
            assert_eq!(devices.alice.take_changes(), []);
        }
    });
}
