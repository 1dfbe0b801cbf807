//! The terminal: taken over at the beginning, given back at the end, also after a panic.

use std::io::{Stdout, Write as _, stdout};
use std::sync::atomic::{AtomicBool, Ordering};

use crossterm::clipboard::CopyToClipboard;
use crossterm::event::{
    DisableBracketedPaste, DisableFocusChange, DisableMouseCapture, EnableBracketedPaste,
    EnableFocusChange, EnableMouseCapture, Event, EventStream,
};
use crossterm::execute;
use crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use futures_util::StreamExt as _;
use ratatui::Frame;
use ratatui::backend::CrosstermBackend;
use ratatui::layout::Size;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// Whether a terminal is taken over by this process.
static IS_TAKEN: AtomicBool = AtomicBool::new(false);

/// What was typed and not dealt with yet. Chosen: a fast paste without brackets.
const TYPED_AHEAD: usize = 1024;

/// See the module.
pub(super) struct Terminal {
    terminal: ratatui::Terminal<CrosstermBackend<Stdout>>,
    typing: Typing,
    has_mouse: bool,
}

/// What is typed, read ahead: asking the terminal itself whether there is more would lose its word.
struct Typing {
    events: mpsc::Receiver<std::io::Result<Event>>,
    task: AbortOnDrop,
}

struct AbortOnDrop(JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Typing {
    fn begin() -> Self {
        let (sender, events) = mpsc::channel(TYPED_AHEAD);
        let task = tokio::spawn(async move {
            let mut typed = EventStream::new();
            while let Some(event) = typed.next().await {
                if sender.send(event).await.is_err() {
                    return;
                }
            }
        });
        let task = AbortOnDrop(task);
        Self { events, task }
    }
}

impl Terminal {
    pub(super) fn take(has_mouse: bool) -> std::io::Result<Self> {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            // One that becomes an error ends nothing.
            if !crate::store::is_contained() {
                give_back();
            }
            before(info);
        }));
        let taken =
            enter(has_mouse).and_then(|()| ratatui::Terminal::new(CrosstermBackend::new(stdout())));
        let terminal = taken.inspect_err(|_| give_back())?;
        Ok(Self {
            terminal,
            typing: Typing::begin(),
            has_mouse,
        })
    }

    pub(super) fn size(&self) -> std::io::Result<Size> {
        self.terminal.size()
    }

    pub(super) fn draw(&mut self, draw: impl FnOnce(&mut Frame<'_>)) -> std::io::Result<()> {
        self.terminal.draw(draw)?;
        Ok(())
    }

    /// What is typed next; an error if the terminal is gone.
    pub(super) async fn next(&mut self) -> std::io::Result<Event> {
        match self.typing.events.recv().await {
            Some(event) => event,
            None => Err(std::io::ErrorKind::UnexpectedEof.into()),
        }
    }

    /// The same, if it was typed already.
    pub(super) fn ready(&mut self) -> Option<std::io::Result<Event>> {
        self.typing.events.try_recv().ok()
    }

    pub(super) fn bell(&mut self) -> std::io::Result<()> {
        let mut out = stdout();
        out.write_all(b"\x07")?;
        out.flush()
    }

    pub(super) fn copy(&mut self, text: &str) -> std::io::Result<()> {
        execute!(stdout(), CopyToClipboard::to_clipboard_from(text))
    }

    /// Lets another program have the terminal for the time of a call. What comes of the call is there whatever becomes
    /// of the terminal.
    pub(super) async fn lend<T: Send + 'static>(
        &mut self,
        to: impl FnOnce() -> T + Send + 'static,
    ) -> (std::io::Result<T>, std::io::Result<()>) {
        // Nobody here reads what is typed there.
        self.typing.task.0.abort();
        give_back();
        let result = tokio::task::spawn_blocking(to).await;
        (result.map_err(std::io::Error::other), self.take_again())
    }

    fn take_again(&mut self) -> std::io::Result<()> {
        enter(self.has_mouse)?;
        // A new one draws everything, and asks the terminal nothing whose answer somebody else might read.
        self.terminal = ratatui::Terminal::new(CrosstermBackend::new(stdout()))?;
        self.typing = Typing::begin();
        Ok(())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        give_back();
    }
}

fn enter(has_mouse: bool) -> std::io::Result<()> {
    IS_TAKEN.store(true, Ordering::SeqCst);
    enable_raw_mode()?;
    execute!(
        stdout(),
        EnterAlternateScreen,
        EnableBracketedPaste,
        EnableFocusChange
    )?;
    if has_mouse {
        execute!(stdout(), EnableMouseCapture)?;
    }
    Ok(())
}

/// As it was, if it was taken. What fails then has nobody left to be told.
pub(crate) fn give_back() {
    if !IS_TAKEN.swap(false, Ordering::SeqCst) {
        return;
    }
    let _ = execute!(
        stdout(),
        DisableMouseCapture,
        DisableFocusChange,
        DisableBracketedPaste,
        LeaveAlternateScreen,
        crossterm::cursor::Show,
    );
    let _ = disable_raw_mode();
}
