//! The terminal interface: `peer` without a command.
//!
//! A face like the others: it calls methods and follows the journal, here or where the profile runs already. What it
//! decides is in [`state`], what it draws in [`view`]; this is the shell around both.

mod calls;
mod config;
mod editor;
mod first_run;
mod layout;
mod state;
mod terminal;
#[cfg(test)]
mod tests;
mod view;

use std::io::IsTerminal as _;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;

use crate::cli::args::Global;
use crate::cli::session::{Network, Session, Stay};
use crate::cli::sessions::Sessions;
use crate::rpc::RpcError;
use crate::{Home, NewProfile, Peer};
use calls::Calls;
use config::Config;
use first_run::{FirstRun, Want};
use state::{App, Clock, Effect, Event};
use terminal::Terminal;
pub(crate) use terminal::give_back;

/// How often the time, and how things are, is looked at.
const TICK: Duration = Duration::from_secs(5);

/// What happened is dealt with before it is drawn, up to so much.
const EVENTS_BEFORE_DRAWING: usize = 256;

/// Runs it until the person leaves.
pub(crate) async fn run(global: &Global) -> Result<(), RpcError> {
    let config = Config::read()?;
    let home = crate::cli::session::home(global)?;
    let is_new = !home.has_profile();
    let (mut terminal, mut key) = (None, None);
    if is_new {
        let mut taken = Terminal::take(config.has_mouse).map_err(no_terminal)?;
        key = first_run(&mut taken, global, &home, &config).await?;
        if key.is_none() {
            return Ok(());
        }
        terminal = Some(taken);
    }
    // What has to be typed for it is typed before the terminal is taken over.
    let session = Session::open_with(global, Network::Online, Stay::UntilEnded, key).await?;
    let mut terminal = match terminal {
        Some(terminal) => terminal,
        None => Terminal::take(config.has_mouse).map_err(no_terminal)?,
    };
    let (calls, events) = Calls::begin(Sessions::of(global, session));
    let mut shell = Shell {
        app: App::new(config.keys.clone(), clock()),
        calls,
        home,
        config,
    };
    let result = shell.run(&mut terminal, events, is_new).await;
    drop(terminal);
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
    calls: Calls,
    home: Home,
    config: Config,
}

impl Shell {
    async fn run(
        &mut self,
        terminal: &mut Terminal,
        mut events: mpsc::Receiver<Event>,
        is_new: bool,
    ) -> std::io::Result<()> {
        let ended = crate::cli::end_signal();
        tokio::pin!(ended);
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let begun = self.app.begin();
        self.carry_out(begun, terminal).await?;
        let size = terminal.size()?;
        self.handle(Event::Resize(size), terminal).await?;
        if is_new {
            let invited = self.app.invite();
            self.carry_out(invited, terminal).await?;
        }
        loop {
            terminal.draw(|frame| view::draw(frame, &self.app, &self.config.theme))?;
            self.handle(Event::Drawn, terminal).await?;
            let event = tokio::select! {
                typed = terminal.next() => Some(typed_event(typed?)),
                event = events.recv() => event,
                _ = tick.tick() => Some(Event::Tick(jiff::Timestamp::now())),
                () = &mut ended => Some(Event::Ended),
            };
            if let Some(event) = event
                && self.handle(event, terminal).await?
            {
                return Ok(());
            }
            for _ in 0..EVENTS_BEFORE_DRAWING {
                let Some(event) = ready(terminal, &mut events)? else {
                    break;
                };
                if self.handle(event, terminal).await? {
                    return Ok(());
                }
            }
        }
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
                Effect::Bell => {
                    if self.config.has_bell {
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
                    let edited = terminal.lend(move || editor::edit(&text, &folder)).await?;
                    Some(edited.map_or_else(Event::NotEdited, Event::Edited))
                }
            };
            if let Some(event) = event {
                effects.extend(self.app.handle(event));
            }
        }
        Ok(false)
    }
}

/// What has happened already.
fn ready(
    terminal: &mut Terminal,
    events: &mut mpsc::Receiver<Event>,
) -> std::io::Result<Option<Event>> {
    if let Some(typed) = terminal.ready() {
        return Ok(Some(typed_event(typed?)));
    }
    Ok(events.try_recv().ok())
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
        terminal
            .draw(|frame| view::first_run::draw(frame, &run, &config.theme))
            .map_err(no_terminal)?;
        let want = match typed_event(terminal.next().await.map_err(no_terminal)?) {
            Event::Key(key) => run.key(key),
            Event::Paste(text) => {
                run.paste(&text);
                Want::Nothing
            }
            _ => Want::Nothing,
        };
        match want {
            Want::Nothing => {}
            Want::Leave => return Ok(None),
            Want::Done => return Ok(used),
            Want::Make { name, server, key } => {
                terminal
                    .draw(|frame| view::first_run::draw(frame, &run, &config.theme))
                    .map_err(no_terminal)?;
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
            }
        }
    }
}
