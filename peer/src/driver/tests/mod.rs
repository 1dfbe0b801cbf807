//! Drivers without threads and connections: what comes from servers and links is handed in.

mod anew;
mod bench;
mod contact_changes;
mod invites;
mod links;
mod lost;
mod mailboxes;
mod messages;
mod news;
mod people;
mod post;
mod reaches;
mod relay;
mod requests;
