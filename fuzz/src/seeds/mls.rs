//! Seeds for the MLS targets: what is changed in a real message.

use super::{Seed, seed};
use crate::mls::shared::Edit;
use crate::script::ScriptWriter;

fn edit(script: ScriptWriter, edit: Edit, at: u64) -> ScriptWriter {
    script.byte(edit as u8).number(at)
}

/// One change of every kind; positions in the first bytes are those of header and lengths.
fn edits(begin: &ScriptWriter) -> Vec<Seed> {
    let begin = || begin.clone();
    vec![
        seed("unchanged", begin().finish()),
        seed("version", edit(begin(), Edit::Flip, 1).byte(1).finish()),
        seed(
            "wire-format",
            edit(begin(), Edit::Overwrite, 2).chunk([0, 1]).finish(),
        ),
        seed(
            "length",
            edit(begin(), Edit::Overwrite, 4)
                .chunk([0xbf, 0xff, 0xff, 0xff])
                .finish(),
        ),
        seed("epoch", edit(begin(), Edit::Flip, 28).byte(1).finish()),
        seed(
            "in-the-middle",
            edit(begin(), Edit::Flip, 100).byte(0x80).finish(),
        ),
        seed("cut-off", edit(begin(), Edit::CutOff, 60).finish()),
        seed("longer", edit(begin(), Edit::Repeat, 0).number(10).finish()),
        seed(
            "inserted",
            edit(begin(), Edit::Insert, 20).chunk([0; 8]).finish(),
        ),
        seed(
            "deleted",
            edit(begin(), Edit::Delete, 21).number(8).finish(),
        ),
    ]
}

/// Changes of an application message.
pub fn mls_message() -> Vec<Seed> {
    edits(&ScriptWriter::default().chunk("payload"))
}

/// Changes of a Welcome.
pub fn mls_welcome() -> Vec<Seed> {
    edits(&ScriptWriter::default())
}

/// Changes of a key package.
pub fn key_package() -> Vec<Seed> {
    edits(&ScriptWriter::default())
}
