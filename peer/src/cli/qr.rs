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

/// Prints it, or, where it would be broken over lines, says how wide the terminal must be.
pub(super) fn show(link: &str, output: &Output) -> Result<(), RpcError> {
    // The lowest level makes the smallest code; a screen does not get dirty.
    let code = QrCode::with_error_correction_level(link, EcLevel::L)
        .map_err(|error| RpcError::failed(format!("no QR code: {error}"), "use the link itself"))?;
    let width = code.width() + 2 * QUIET_ZONE;
    match output.terminal_width() {
        None => output.say(&lines(&code).join("\n")),
        Some(columns) if columns >= width => {
            let coloured = lines(&code).into_iter();
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

/// Dark modules in the colour of the text, light ones in that of the ground.
fn lines(code: &QrCode) -> Vec<String> {
    let image = code.render::<Dense1x2>().quiet_zone(true).build();
    image.lines().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_as_wide_as_the_code_with_its_quiet_zone() {
        let code = QrCode::with_error_correction_level("tincan:abc", EcLevel::L).unwrap();
        let width = code.width() + 2 * QUIET_ZONE;
        let lines = lines(&code);
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
