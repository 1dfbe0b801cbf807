//! `peer export`: a conversation as a file that other programs read, from its beginning to its end.

mod html;
mod text;

use std::fs::OpenOptions;
use std::io::{BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use serde_json::{Value, json};

use super::args::{Export, Format, Global};
use super::output::Output;
use super::session::{Network, Session, Stay};
use super::values::{contact_called, items};
use crate::rpc::RpcError;
use html::Html;
use text::Text;

/// Messages that are read at once.
const PAGE: usize = 500;

/// How a conversation is written.
trait Writing {
    /// Before the first item.
    fn begin(&mut self, out: &mut dyn Write, about: &Value) -> std::io::Result<()>;

    /// A message or a notice.
    fn item(&mut self, out: &mut dyn Write, item: &Value) -> std::io::Result<()>;

    /// After the last one.
    fn end(&mut self, out: &mut dyn Write) -> std::io::Result<()>;
}

pub(super) async fn run(global: &Global, args: &Export, output: &Output) -> Result<(), RpcError> {
    let mut session = Session::open(global, Network::Offline, Stay::ForOneCommand).await?;
    let result = export(&mut session, args).await;
    let closed = session.close().await;
    let count = result?;
    if let Some(file) = &args.file {
        let exported =
            json!({"type": "exported", "file": file.display().to_string(), "messages": count});
        output.print(&exported, || {
            format!(
                "{count} messages are in {}, for whoever can read that file",
                file.display()
            )
        });
    }
    output.flush()?;
    closed
}

async fn export(session: &mut Session, args: &Export) -> Result<u64, RpcError> {
    let contacts = session.call("contacts", json!({})).await?;
    let contact = contact_called(&contacts, &args.to);
    let contact = contact.ok_or_else(|| RpcError::from(crate::ReadError::UnknownContact))?;
    let me = session.call("id", json!({})).await?;
    let about = json!({
        "type": "conversation", "contact": contact["name"], "address": contact["address"],
        "own_name": me["name"], "own_address": me["address"],
        "exported_at": jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
    });
    let mut writing: Box<dyn Writing> = match args.format {
        Format::Text => Box::new(Text::default()),
        Format::Json => Box::new(Json::default()),
        Format::Html => Box::new(Html::default()),
    };
    let mut out = match &args.file {
        Some(path) => file(path)?,
        None => Box::new(BufWriter::new(std::io::stdout())) as Box<dyn Write>,
    };
    let failed = |error: std::io::Error| {
        let place = args
            .file
            .as_ref()
            .map_or("stdout".to_owned(), |file| file.display().to_string());
        RpcError::failed(
            format!("{place}: {error}"),
            "give it somewhere to write to; nothing else has changed",
        )
    };
    writing.begin(&mut out, &about).map_err(failed)?;
    let mut params = json!({"to": contact["address"], "limit": PAGE, "oldest": true});
    let mut count = 0;
    loop {
        let page = session.call("history", params.clone()).await?;
        let all: Vec<&Value> = items(&page).collect();
        let (now, last) = part(&all, PAGE);
        for item in now {
            writing.item(&mut out, item).map_err(failed)?;
            count += u64::from(is_message(item));
        }
        let Some(last) = last else {
            break;
        };
        params = json!({"to": contact["address"], "limit": PAGE, "after": last["id"]});
    }
    writing.end(&mut out).map_err(failed)?;
    out.flush().map_err(failed)?;
    Ok(count)
}

/// What is written of a page, and the message after which the next one begins, if there may be one. That cannot begin
/// after a notice, so those at the end of a full page are left to it.
fn part<'a>(page: &'a [&'a Value], full: usize) -> (&'a [&'a Value], Option<&'a Value>) {
    let last = page.iter().rposition(|item| is_message(item));
    match last {
        Some(at) if page.len() >= full => {
            (page.get(..=at).unwrap_or_default(), page.get(at).copied())
        }
        _ => (page, None),
    }
}

fn is_message(item: &Value) -> bool {
    item["type"] == "message"
}

/// A new one that only this user can read: what is in it is in clear.
fn file(path: &Path) -> Result<Box<dyn Write>, RpcError> {
    let mut options = OpenOptions::new();
    let file = options.write(true).create_new(true).mode(0o600).open(path);
    let file = file.map_err(|error| {
        RpcError::usage(
            format!("{}: {error}", path.display()),
            "give the name of a file that is not there yet, in a folder that you can write to",
        )
    })?;
    Ok(Box::new(BufWriter::new(file)))
}

/// One document; each message on a line of its own, as `peer history --json` has it.
#[derive(Default)]
struct Json {
    has_items: bool,
}

impl Writing for Json {
    fn begin(&mut self, out: &mut dyn Write, about: &Value) -> std::io::Result<()> {
        let about = about.to_string();
        // Its closing brace comes at the end.
        let open = about.strip_suffix('}').unwrap_or(&about);
        write!(out, "{open},\"messages\":[")
    }

    fn item(&mut self, out: &mut dyn Write, item: &Value) -> std::io::Result<()> {
        let comma = if std::mem::replace(&mut self.has_items, true) {
            ","
        } else {
            ""
        };
        write!(out, "{comma}\n{item}")
    }

    fn end(&mut self, out: &mut dyn Write) -> std::io::Result<()> {
        writeln!(out, "\n]}}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One at the end of a page was written again with the next.
    #[test]
    fn regression_a_notice_at_the_end_of_a_page_is_written_once() {
        let kinds = |kinds: &[&str]| -> Vec<Value> {
            kinds.iter().map(|kind| json!({"type": kind})).collect()
        };
        let all = kinds(&["message", "message", "timer"]);
        let page: Vec<&Value> = all.iter().collect();
        let (now, last) = part(&page, 3);
        assert_eq!((now.len(), last.is_some()), (2, true));
        // At the end of the conversation it is written.
        let (now, last) = part(&page, 4);
        assert_eq!((now.len(), last.is_some()), (3, false));
        let (now, last) = part(&page[2..], 1);
        assert_eq!((now.len(), last.is_some()), (1, false));
    }
}
