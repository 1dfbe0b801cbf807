//! Changes of a message.

use crate::script::Script;

/// Changes of one message.
const EDITS_MAX: usize = 16;

/// One change; a script names it by its number.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Edit {
    Flip,
    CutOff,
    Insert,
    Delete,
    Overwrite,
    Repeat,
}

const EDITS: [Edit; 6] = [
    Edit::Flip,
    Edit::CutOff,
    Edit::Insert,
    Edit::Delete,
    Edit::Overwrite,
    Edit::Repeat,
];

/// The bytes with the changes that the script says.
pub(super) fn edit(bytes: &[u8], script: &mut Script<'_>) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..EDITS_MAX {
        if script.is_empty() || bytes.is_empty() {
            break;
        }
        let what = EDITS[usize::from(script.byte()) % EDITS.len()];
        let at = below(script.number(), bytes.len());
        match what {
            Edit::Flip => bytes[at] ^= script.byte(),
            Edit::CutOff => bytes.truncate(at),
            Edit::Insert => {
                let chunk = script.chunk();
                bytes.splice(at..at, chunk.iter().copied());
            }
            Edit::Delete => {
                let end = at + below(script.number(), bytes.len() - at + 1);
                bytes.drain(at..end);
            }
            Edit::Overwrite => {
                let chunk = script.chunk();
                let end = bytes.len().min(at + chunk.len());
                bytes.splice(at..end, chunk.iter().copied());
            }
            Edit::Repeat => {
                let end = at + below(script.number(), bytes.len() - at + 1);
                bytes.extend_from_within(at..end);
            }
        }
    }
    bytes
}

fn below(number: u64, end: usize) -> usize {
    usize::try_from(number % end as u64).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::ScriptWriter;

    #[test]
    fn every_edit_does_what_it_is_called() {
        let edited = |script: ScriptWriter| {
            let script = script.finish();
            String::from_utf8(edit(b"abcdef", &mut Script::new(&script))).unwrap()
        };
        let at = |edit, at| ScriptWriter::default().byte(edit as u8).number(at);
        assert_eq!(edited(at(Edit::Flip, 1).byte(0x20)), "aBcdef");
        assert_eq!(edited(at(Edit::CutOff, 2)), "ab");
        assert_eq!(edited(at(Edit::Insert, 2).chunk("xy")), "abxycdef");
        assert_eq!(edited(at(Edit::Delete, 1).number(2)), "adef");
        assert_eq!(edited(at(Edit::Overwrite, 4).chunk("xyz")), "abcdxyz");
        assert_eq!(edited(at(Edit::Repeat, 0).number(3)), "abcdefabc");
        assert_eq!(edited(ScriptWriter::default()), "abcdef");
    }
}
