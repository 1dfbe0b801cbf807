//! The terminal interface: `peer` without a command.
//!
//! A face like the others: it calls methods and follows the journal, here or where the profile runs already. What it
//! decides is in [`state`], what it draws in [`view`]; this is the shell around both.

mod calls;
mod config;
mod editor;
mod first_run;
mod layout;
#[cfg(feature = "notifications")]
mod notifications;
mod state;
mod terminal;
#[cfg(test)]
mod tests;
mod view;

use std::io::IsTerminal as _;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior};

use crate::cli::EndSignals;
use crate::cli::args::Global;
use crate::cli::session::{Network, Session, Stay};
use crate::cli::sessions::Sessions;
use crate::rpc::RpcError;
use crate::{Home, NewProfile, Peer};
use calls::Calls;
use config::{Bell, Config, Notifications};
use first_run::{FirstRun, Want};
use state::{App, Clock, Effect, Event, News};
use terminal::Terminal;
pub(crate) use terminal::give_back;

/// How often the time, and how things are, is looked at.
const TICK: Duration = Duration::from_secs(5);

/// So long what was written is waited for when somebody else ends the program, or the terminal is gone.
const LAST_WRITES: Duration = Duration::from_secs(10);

/// What happened is dealt with before it is drawn, up to so much.
const EVENTS_BEFORE_DRAWING: usize = 256;

/// Runs it until the person leaves. It begins with the conversation with this contact, if one is named.
pub(crate) async fn run(global: &Global, at: Option<&str>) -> Result<(), RpcError> {
    let config = Config::read()?;
    let home = crate::cli::session::home(global)?;
    let is_new = !home.has_profile();
    let mut signals = EndSignals::begin(true);
    let (mut terminal, mut key) = (None, None);
    if is_new {
        let mut taken = Terminal::take(config.has_mouse).map_err(no_terminal)?;
        key = first_run(&mut taken, &mut signals, global, &home, &config).await?;
        if key.is_none() {
            return Ok(());
        }
        terminal = Some(taken);
    }
    // What has to be typed for it is typed before the terminal is taken over.
    let session = Session::open_with(global, Network::Online, Stay::UntilEnded, key).await?;
    let terminal = match terminal {
        Some(terminal) => Ok(terminal),
        None => Terminal::take(config.has_mouse),
    };
    let (calls, events) = Calls::begin(Sessions::of(global, session));
    let mut shell = Shell {
        #[cfg(feature = "notifications")]
        notifier: notifications::Notifier::begin(calls.events()),
        app: App::new(config.keys.clone(), clock(), at),
        calls,
        home,
        config,
        events,
        signals,
    };
    let result = match terminal {
        Ok(mut terminal) => shell.run(&mut terminal, is_new).await,
        Err(error) => Err(error),
    };
    let closed = shell.calls.end().await;
    result.map_err(no_terminal)?;
    closed
}

/// Whether there is a person at a terminal.
pub(crate) fn is_possible() -> bool {
    std::io::stdin().is_terminal() && std::io::stdout().is_terminal()
}

fn clock() -> Clock {
    Clock {
        now: jiff::Timestamp::now(),
        zone: jiff::tz::TimeZone::system(),
    }
}

fn no_terminal(error: std::io::Error) -> RpcError {
    RpcError::failed(
        format!("the terminal: {error}"),
        "use a command instead; `peer --help` shows them",
    )
}

struct Shell {
    app: App,
    #[cfg(feature = "notifications")]
    notifier: notifications::Notifier,
    calls: Calls,
    home: Home,
    config: Config,
    events: mpsc::Receiver<Event>,
    signals: EndSignals,
}

impl Shell {
    /// Until the person leaves, or the terminal is gone: what is written is kept either way.
    async fn run(&mut self, terminal: &mut Terminal, is_new: bool) -> std::io::Result<()> {
        let result = self.run_in(terminal, is_new).await;
        if result.is_err() {
            // Nobody sees what does not work then, nor can do anything about it.
            let _ = tokio::time::timeout(LAST_WRITES, self.save(terminal)).await;
        }
        result
    }

    async fn run_in(&mut self, terminal: &mut Terminal, is_new: bool) -> std::io::Result<()> {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let begun = self.app.begin();
        self.carry_out(begun, terminal).await?;
        if is_new {
            let invited = self.app.invite();
            self.carry_out(invited, terminal).await?;
        }
        let mut deadline = None;
        loop {
            // It may have another size than its last word says.
            self.handle(Event::Resize(terminal.size()?), terminal)
                .await?;
            terminal.draw(|frame| view::draw(frame, &self.app, &self.config.theme))?;
            self.handle(Event::Drawn, terminal).await?;
            let event = tokio::select! {
                typed = terminal.next() => Some(typed_event(typed?)),
                event = self.events.recv() => event,
                _ = tick.tick() => Some(Event::Tick(jiff::Timestamp::now())),
                () = self.signals.next() => {
                    // Who says it twice does not want to wait.
                    if deadline.replace(Instant::now() + LAST_WRITES).is_some() {
                        return Ok(());
                    }
                    Some(Event::Ended)
                }
                () = at(deadline) => return Ok(()),
            };
            if let Some(event) = event
                && self.handle(event, terminal).await?
            {
                return Ok(());
            }
            for _ in 0..EVENTS_BEFORE_DRAWING {
                let Some(event) = self.ready(terminal)? else {
                    break;
                };
                if self.handle(event, terminal).await? {
                    return Ok(());
                }
            }
        }
    }

    /// Without a terminal: until everything that was written is kept.
    async fn save(&mut self, terminal: &mut Terminal) -> std::io::Result<()> {
        let mut event = Some(Event::Ended);
        while let Some(happens) = event {
            if self.handle(happens, terminal).await? {
                break;
            }
            event = self.events.recv().await;
        }
        Ok(())
    }

    /// What has happened already.
    fn ready(&mut self, terminal: &mut Terminal) -> std::io::Result<Option<Event>> {
        if let Some(typed) = terminal.ready() {
            return Ok(Some(typed_event(typed?)));
        }
        Ok(self.events.try_recv().ok())
    }

    /// Returns whether it is the end.
    async fn handle(&mut self, event: Event, terminal: &mut Terminal) -> std::io::Result<bool> {
        let effects = self.app.handle(event);
        self.carry_out(effects, terminal).await
    }

    async fn carry_out(
        &mut self,
        effects: Vec<Effect>,
        terminal: &mut Terminal,
    ) -> std::io::Result<bool> {
        let mut effects = std::collections::VecDeque::from(effects);
        while let Some(effect) = effects.pop_front() {
            let event = match effect {
                Effect::Quit => return Ok(true),
                Effect::Call(call) => {
                    self.calls.call(call);
                    None
                }
                Effect::Write(call) => self.calls.write(call),
                Effect::Notice(news) => self.notice(news, terminal)?,
                Effect::Bell => {
                    if self.config.bell == Bell::Instead {
                        terminal.bell()?;
                    }
                    None
                }
                Effect::Copy(text) => {
                    terminal.copy(&text)?;
                    None
                }
                Effect::Edit(text) => {
                    let folder = self.home.path().to_owned();
                    let (edited, taken) = terminal.lend(move || editor::edit(&text, &folder)).await;
                    // Ctrl-C was the editor's.
                    while self.signals.next().now_or_never().is_some() {}
                    let edited = edited.unwrap_or_else(|error| Err(error.to_string()));
                    let event = edited.map_or_else(Event::NotEdited, Event::Edited);
                    effects.extend(self.app.handle(event));
                    taken?;
                    None
                }
            };
            if let Some(event) = event {
                effects.extend(self.app.handle(event));
            }
        }
        Ok(false)
    }
}

impl Shell {
    /// By the desktop, or by the bell.
    fn notice(&self, mut news: News, terminal: &mut Terminal) -> std::io::Result<Option<Event>> {
        if self.config.bell == Bell::Always {
            terminal.bell()?;
        }
        match self.config.notifications {
            Notifications::Full => {}
            Notifications::Name => news.body = "New message".to_owned(),
            Notifications::Off => return Ok(Some(Event::NotNoticed)),
        }
        #[cfg(feature = "notifications")]
        let is_tried = self.notifier.show(news);
        #[cfg(not(feature = "notifications"))]
        let is_tried = false;
        Ok((!is_tried).then_some(Event::NotNoticed))
    }
}

/// At this time; without one, never.
async fn at(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}

/// What a terminal says, in the words of this program.
fn typed_event(event: crossterm::event::Event) -> Event {
    use crossterm::event::Event as Typed;
    match event {
        Typed::Key(key) => Event::Key(key),
        Typed::Paste(text) => Event::Paste(text),
        Typed::Mouse(mouse) => Event::Mouse(mouse),
        Typed::Resize(width, height) => Event::Resize(ratatui::layout::Size { width, height }),
        Typed::FocusGained => Event::Focus(true),
        Typed::FocusLost => Event::Focus(false),
    }
}

/// Asks, makes the profile, and shows its words. `None`: the person has left.
async fn first_run(
    terminal: &mut Terminal,
    signals: &mut EndSignals,
    global: &Global,
    home: &Home,
    config: &Config,
) -> Result<Option<crate::KeySource>, RpcError> {
    let chosen = crate::cli::init::chosen_key(global)?;
    let login = std::env::var("USER").unwrap_or_default();
    let has_keyring = chosen.is_none() && crate::KeySource::keyring().is_some();
    let mut run = FirstRun::new(&login, chosen, has_keyring);
    let mut used = None;
    loop {
        draw_first_run(terminal, &mut run, config)?;
        let event = tokio::select! {
            typed = terminal.next() => typed_event(typed.map_err(no_terminal)?),
            // Its words are in the profile no more: whoever ends it now makes another one.
            () = signals.next() => return Ok(None),
        };
        let mut want = match event {
            Event::Key(key) => run.key(key),
            Event::Paste(text) => {
                run.paste(&text);
                Want::Nothing
            }
            _ => Want::Nothing,
        };
        if let Want::Look(server) = want {
            draw_first_run(terminal, &mut run, config)?;
            let answer = crate::net::look_for(&server).await;
            want = run.looked(server, answer.map_err(|lost| lost.to_string()));
            // What was typed meanwhile was not meant for what is asked next.
            while terminal.ready().is_some() {}
        }
        match want {
            Want::Nothing | Want::Look(_) => {}
            Want::Leave => return Ok(None),
            Want::Done => return Ok(used),
            Want::Make { name, server, key } => {
                draw_first_run(terminal, &mut run, config)?;
                let new = NewProfile {
                    name,
                    signal_servers: vec![server.clone()],
                    relay: server,
                    restore: None,
                };
                used = Some(key.clone());
                let builder = Peer::builder().home(home.path()).key(key);
                // Argon2id takes a while.
                let made = tokio::task::spawn_blocking(move || builder.init(new)).await;
                let made = made.map_err(|error| RpcError::failed(error, ""))?;
                run.made(made.map_err(|error| {
                    let error = crate::cli::init::init_error(error);
                    format!("{error}; {}", error.help)
                }));
                // What was typed meanwhile was not meant for the words.
                while terminal.ready().is_some() {}
            }
        }
    }
}

fn draw_first_run(
    terminal: &mut Terminal,
    run: &mut FirstRun,
    config: &Config,
) -> Result<(), RpcError> {
    let mut is_whole = true;
    terminal
        .draw(|frame| is_whole = view::first_run::draw(frame, run, &config.theme))
        .map_err(no_terminal)?;
    run.drawn(is_whole);
    Ok(())
}
