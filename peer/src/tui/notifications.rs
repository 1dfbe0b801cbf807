//! Desktop notifications, by the desktop's own service (freedesktop.org, "Desktop Notifications Specification").
//!
//! One for each contact: a new one takes the place of the one before. Where no service answers, the terminal's bell
//! sounds instead.

use std::collections::BTreeMap;

use notify_rust::{Hint, Notification};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::state::{Event, News};

/// What waits to be shown. Chosen: beyond it the desktop does not answer, and nobody can read so much.
const WAITING: usize = 16;

/// See the module.
pub(super) struct Notifier {
    queue: mpsc::Sender<News>,
    task: JoinHandle<()>,
}

impl Notifier {
    /// What cannot be shown comes back as [`Event::NotNoticed`].
    pub(super) fn begin(events: mpsc::Sender<Event>) -> Self {
        let (queue, waiting) = mpsc::channel(WAITING);
        let task = tokio::spawn(show_all(waiting, events));
        Self { queue, task }
    }

    /// Returns whether it will be tried.
    pub(super) fn show(&self, news: News) -> bool {
        self.queue.try_send(news).is_ok()
    }
}

impl Drop for Notifier {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn show_all(mut waiting: mpsc::Receiver<News>, events: mpsc::Sender<Event>) {
    let mut shown: BTreeMap<String, u32> = BTreeMap::new();
    while let Some(news) = waiting.recv().await {
        let mut notification = Notification::new();
        notification
            .appname("Tincan")
            .summary(&news.title)
            .body(&escaped(&news.body))
            .hint(Hint::Category("im.received".to_owned()));
        if let Some(id) = shown.get(&news.about) {
            notification.id(*id);
        }
        match notification.show_async().await {
            Ok(handle) => {
                shown.insert(news.about, handle.id());
            }
            Err(_) => {
                if events.send(Event::NotNoticed).await.is_err() {
                    return;
                }
            }
        }
    }
}

/// Services may take a body for markup.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
