//! A link as a QR code in the terminal.

use qrcode::render::unicode::Dense1x2;
use qrcode::{EcLevel, QrCode};

use super::output::Output;
use crate::rpc::RpcError;

/// Light modules around the code, on each side (ISO 18004, 6.3.8): without them scanners do not find it.
const QUIET_ZONE: usize = 4;

/// Black on white, whatever the colours of the terminal: many scanners do not read an inverted code.
const BLACK_ON_WHITE: &str = "\u{1b}[38;5;16;48;5;231m";
const RESET: &str = "\u{1b}[0m";

/// A QR code, drawn with half blocks.
pub(crate) struct Code(QrCode);

impl Code {
    pub(crate) fn of(content: &str) -> Result<Self, RpcError> {
        // The lowest level makes the smallest code; a screen does not get dirty.
        QrCode::with_error_correction_level(content, EcLevel::L)
            .map(Self)
            .map_err(|error| {
                RpcError::failed(format!("no QR code: {error}"), "use the link itself")
            })
    }

    /// Columns, with the quiet zone.
    pub(crate) fn width(&self) -> usize {
        self.0.width() + 2 * QUIET_ZONE
    }

    /// Dark modules in the colour of the text, light ones in that of the ground.
    pub(crate) fn lines(&self) -> Vec<String> {
        let image = self.0.render::<Dense1x2>().quiet_zone(true).build();
        image.lines().map(str::to_owned).collect()
    }
}

/// Prints it, or, where it would be broken over lines, says how wide the terminal must be.
pub(super) fn show(link: &str, output: &Output) -> Result<(), RpcError> {
    let code = Code::of(link)?;
    let width = code.width();
    match output.terminal_width() {
        None => output.say(&code.lines().join("\n")),
        Some(columns) if columns >= width => {
            let coloured = code.lines().into_iter();
            let coloured = coloured.map(|line| format!("{BLACK_ON_WHITE}{line}{RESET}"));
            output.draw(&coloured.collect::<Vec<_>>().join("\n"));
        }
        Some(columns) => output.note(&format!(
            "note: the QR code is {width} columns wide and this terminal {columns}; make it wider or its \
             letters smaller, and ask for an invite again"
        )),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_as_wide_as_the_code_with_its_quiet_zone() {
        let code = Code::of("tincan:abc").unwrap();
        let width = code.width();
        let lines = code.lines();
        assert!(lines.iter().all(|line| line.chars().count() == width));
        assert_eq!(lines.len(), width.div_ceil(2));
        assert!(
            lines[0].chars().all(|module| module == ' '),
            "{:?}",
            lines[0]
        );
        assert!(lines[2].contains('\u{2588}'), "{:?}", lines[2]);
    }
}
