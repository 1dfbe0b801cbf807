//! The person's own editor.

use std::io::Write as _;
use std::path::Path;
use std::process::Command;

/// The text as it comes out of the editor. It lies in a file of the profile's folder meanwhile, which only this user
/// can read.
///
/// # Errors
/// What went wrong, for people.
pub(super) fn edit(text: &str, folder: &Path) -> Result<String, String> {
    let names = ["VISUAL", "EDITOR"].into_iter();
    let mut chosen = names.filter_map(std::env::var_os);
    let chosen = chosen.find(|editor| !editor.is_empty());
    let editor = chosen.unwrap_or_else(|| "vi".into());
    let name = editor.to_string_lossy().into_owned();
    let wrong =
        |error: std::io::Error| format!("{name}: {error}; $EDITOR says which editor is used");
    let mut file = tempfile::Builder::new()
        .prefix("writing-")
        .suffix(".txt")
        .tempfile_in(folder)
        .map_err(wrong)?;
    file.write_all(text.as_bytes()).map_err(wrong)?;
    file.flush().map_err(wrong)?;
    // It may come with arguments, as a shell would read them.
    let words = shlex::split(&name).unwrap_or_else(|| vec![name.clone()]);
    let (program, arguments) = words.split_first().ok_or("$EDITOR is empty")?;
    let status = Command::new(program)
        .args(arguments)
        .arg(file.path())
        .status()
        .map_err(wrong)?;
    if !status.success() {
        return Err(format!(
            "{name} ended with {status}; what was written before is as it was{}",
            kept(file)
        ));
    }
    // Editors replace files, so it is read by its name.
    let bytes = std::fs::read(file.path()).map_err(wrong)?;
    String::from_utf8(bytes)
        .map_err(|_| format!("what {name} has written is no UTF-8 text{}", kept(file)))
}

/// Where what was written in the editor stays.
fn kept(file: tempfile::NamedTempFile) -> String {
    match file.keep() {
        Ok((_, path)) => format!("; what was written in it is in {}", path.display()),
        Err(_) => String::new(),
    }
}
