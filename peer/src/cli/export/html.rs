//! A conversation as one HTML file that needs nothing else: no script, no picture, no address outside.

use std::io::Write;

use serde_json::Value;

use super::Writing;
use crate::cli::values::{items, local_time, text};
use crate::printable::printable;

const STYLE: &str = "\
body{max-width:46em;margin:2em auto;padding:0 1em;font-family:sans-serif;line-height:1.4;color:#222;background:#fff}\
h2{font-size:1em;text-align:center;color:#555;margin:2em 0 1em}\
article{margin:.5em 0;padding:.5em .8em;border-radius:.6em;background:#eee;width:fit-content;max-width:80%}\
article.own{background:#d9ecff;margin-left:auto}\
header,footer{font-size:.8em;color:#555}\
p{margin:.2em 0;white-space:pre-wrap;overflow-wrap:anywhere}\
blockquote{margin:.2em 0;padding-left:.6em;border-left:3px solid #999;color:#555;overflow-wrap:anywhere}\
.notice{text-align:center;color:#555;font-size:.9em}\
@media(prefers-color-scheme:dark){body{color:#ddd;background:#181818}article{background:#2a2a2a}article.own{background:#1d3a55}\
header,footer,h2,blockquote,.notice{color:#aaa}}";

/// See the module.
#[derive(Default)]
pub(super) struct Html {
    day: String,
}

impl Writing for Html {
    fn begin(&mut self, out: &mut dyn Write, about: &Value) -> std::io::Result<()> {
        let (name, own) = (safe(&about["contact"]), safe(&about["own_name"]));
        writeln!(
            out,
            "<!doctype html>\n<html><head><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width\">\
             <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\
             <title>Conversation with {name}</title><style>{STYLE}</style></head>\n<body>\n\
             <h1>Conversation with <bdi>{name}</bdi></h1>\n\
             <p>{}</p>\n<p>of <bdi>{own}</bdi>, exported at {}</p>",
            safe(&about["address"]),
            safe(&about["exported_at"]),
        )
    }

    fn item(&mut self, out: &mut dyn Write, item: &Value) -> std::io::Result<()> {
        let at = local_time(&item["sent_at"]);
        let (day, time) = at.split_once(' ').unwrap_or((&at, ""));
        if self.day != day {
            day.clone_into(&mut self.day);
            writeln!(out, "<h2>{day}</h2>")?;
        }
        if item["type"] == "timer" {
            let seconds = item["expires_s"].as_u64().unwrap_or_default();
            let what = match seconds {
                0 => "messages stay from now on".to_owned(),
                _ => {
                    let time = humantime::format_duration(std::time::Duration::from_secs(seconds));
                    format!("messages disappear {time} after they were shown, from now on")
                }
            };
            let from = safe(&item["from"]);
            return writeln!(out, "<p class=\"notice\"><bdi>{from}</bdi>: {what}</p>");
        }
        message(out, item, time)
    }

    fn end(&mut self, out: &mut dyn Write) -> std::io::Result<()> {
        writeln!(out, "</body></html>")
    }
}

fn message(out: &mut dyn Write, message: &Value, time: &str) -> std::io::Result<()> {
    let class = if message["outgoing"] == true {
        " class=\"own\""
    } else {
        ""
    };
    let from = safe(&message["from"]);
    writeln!(
        out,
        "<article id=\"{}\"{class}><header><bdi>{from}</bdi> <time datetime=\"{}\">{time}</time></header>",
        safe(&message["id"]),
        safe(&message["sent_at"]),
    )?;
    let quote = &message["reply_to"];
    if quote.is_object() {
        let said = match (quote["from"].is_string(), quote["text"].is_string()) {
            (false, _) => "a message that is not here".to_owned(),
            (true, false) => format!("<bdi>{}</bdi>: deleted", safe(&quote["from"])),
            (true, true) => format!(
                "<bdi>{}</bdi>: {}",
                safe(&quote["from"]),
                safe(&quote["text"])
            ),
        };
        writeln!(out, "<blockquote dir=\"auto\">{said}</blockquote>")?;
    }
    match message["deleted"] == true {
        true => writeln!(out, "<p><i>deleted</i></p>")?,
        false => writeln!(out, "<p dir=\"auto\">{}</p>", safe(&message["text"]))?,
    }
    let mut notes = Vec::new();
    for (field, note) in [("forwarded", "forwarded"), ("edited", "edited")] {
        if message[field] == true {
            notes.push(note.to_owned());
        }
    }
    if message["outgoing"] == true {
        notes.push(safe(&message["state"]));
    }
    let signs = items(&message["reactions"]);
    notes.extend(signs.map(|sign| {
        format!(
            "{} <bdi>{}</bdi>",
            safe(&sign["emoji"]),
            safe(&sign["from"])
        )
    }));
    if !notes.is_empty() {
        writeln!(out, "<footer>{}</footer>", notes.join(" · "))?;
    }
    writeln!(out, "</article>")
}

/// Text of others as a part of the document: nothing in it is obeyed.
fn safe(value: &Value) -> String {
    let mut safe = String::new();
    for c in printable(&text(value)).chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn nothing_of_others_is_obeyed_by_a_browser() {
        let hostile = "</p><script>alert(1)</script>\"'&\u{202e}";
        let mut html = Html::default();
        let mut out = Vec::new();
        html.begin(&mut out, &json!({"contact": hostile, "own_name": hostile, "address": "tin1", "exported_at": "t"}))
            .unwrap();
        let item = json!({
            "type": "message", "id": "i\"", "from": hostile, "outgoing": true, "text": hostile, "deleted": false,
            "edited": true, "forwarded": true, "state": "sent", "sent_at": "2026-11-27T15:00:00Z",
            "reply_to": {"from": hostile, "text": hostile}, "reactions": [{"emoji": hostile, "from": hostile}],
        });
        html.item(&mut out, &item).unwrap();
        html.item(
            &mut out,
            &json!({"type": "timer", "from": hostile, "expires_s": 60, "sent_at": "x"}),
        )
        .unwrap();
        html.end(&mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(
            !text.contains("<script") && !text.contains('\u{202e}'),
            "{text}"
        );
        assert_eq!(text.matches("&lt;script&gt;").count(), 10, "{text}");
        assert_eq!(text.matches('<').count(), text.matches('>').count());
    }
}
