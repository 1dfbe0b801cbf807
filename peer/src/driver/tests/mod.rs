//! Drivers without threads and connections: what comes from servers and links is handed in.

mod bench;
mod invites;
mod links;
mod mailboxes;
mod messages;
mod news;
mod reaches;
mod relay;
mod requests;
