//! `peer completions` and `peer man`: what the shell and the manual know of the commands, made of their definition.

use std::path::Path;

use clap::CommandFactory as _;

use super::args::{Args, Completions, Man};
use super::output::Output;
use crate::rpc::RpcError;

const NAME: &str = "peer";

pub(super) fn completions(args: &Completions, output: &Output) -> Result<(), RpcError> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Args::command(), NAME, &mut script);
    output.page(&String::from_utf8_lossy(&script));
    output.flush()
}

/// One page, or one for each command into a folder.
pub(super) fn man(args: &Man, output: &Output) -> Result<(), RpcError> {
    if let Some(folder) = &args.folder {
        return pages(folder);
    }
    let mut page = Vec::new();
    let rendered = clap_mangen::Man::new(Args::command()).render(&mut page);
    rendered.map_err(|error| RpcError::failed(error, ""))?;
    output.page(&String::from_utf8_lossy(&page));
    output.flush()
}

fn pages(folder: &Path) -> Result<(), RpcError> {
    let written = std::fs::create_dir_all(folder)
        .and_then(|()| clap_mangen::generate_to(Args::command(), folder));
    written.map_err(|error| {
        let message = format!("{}: {error}", folder.display());
        RpcError::failed(message, "give a folder that you can write to")
    })
}
