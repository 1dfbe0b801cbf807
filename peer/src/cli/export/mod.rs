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
        let mut last = Value::Null;
        for item in items(&page) {
            writing.item(&mut out, item).map_err(failed)?;
            if item["type"] == "message" {
                last = item["id"].clone();
                count += 1;
            }
        }
        if items(&page).count() < PAGE || last.is_null() {
            break;
        }
        params = json!({"to": contact["address"], "limit": PAGE, "after": last});
    }
    writing.end(&mut out).map_err(failed)?;
    out.flush().map_err(failed)?;
    Ok(count)
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
