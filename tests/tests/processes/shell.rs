//! What shells and the manual know of the commands.

use std::process::{Command, Output};

use anyhow::{Context as _, Result, ensure};
use e2e::Binary;

fn peer(args: &[&str]) -> Result<Output> {
    Ok(Command::new(Binary::Peer.path()?).args(args).output()?)
}

#[test]
fn bash_completes_commands_and_options() -> Result<()> {
    let script = peer(&["completions", "bash"])?;
    ensure!(script.status.success());
    let script = String::from_utf8(script.stdout)?;
    for (typed, wanted) in [("ver", "verify"), ("unb", "unblock")] {
        let ask = format!(
            "{script}\nCOMP_WORDS=(peer {typed}); COMP_CWORD=1; _peer peer {typed} peer; echo \"${{COMPREPLY[@]}}\""
        );
        let answer = Command::new("bash").args(["-c", &ask]).output()?;
        let answer = String::from_utf8(answer.stdout)?;
        assert_eq!(answer.trim(), wanted, "{typed}");
    }
    for shell in ["zsh", "fish"] {
        let script = peer(&["completions", shell])?;
        let script = String::from_utf8(script.stdout)?;
        assert!(script.contains("disappear"), "{shell}");
    }
    Ok(())
}

#[test]
fn every_command_has_a_page_in_the_manual() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let pages = folder.path().join("man1");
    ensure!(
        peer(&["man", &pages.display().to_string()])?
            .status
            .success()
    );
    let help = String::from_utf8(peer(&["--help"])?.stdout)?;
    let commands = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let commands = commands.take_while(|line| line.starts_with("  "));
    let commands = commands.filter_map(|line| line.split_whitespace().next());
    let commands: Vec<&str> = commands.filter(|command| *command != "help").collect();
    assert!(commands.len() > 20, "{commands:?}");
    for command in commands {
        let page = pages.join(format!("peer-{command}.1"));
        let page = std::fs::read_to_string(&page).with_context(|| page.display().to_string())?;
        assert!(page.contains(".TH"), "{command}");
    }
    let page = peer(&["man"])?;
    assert!(String::from_utf8(page.stdout)?.contains(".SH NAME"));
    let refused = peer(&["man", "/proc/nowhere"])?;
    assert_eq!(refused.status.code(), Some(1));
    Ok(())
}
