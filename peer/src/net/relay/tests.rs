use std::time::Duration;

use bytes::Bytes;
use tincan_protocol::limits::LOGIN_TIMEOUT_MS;
use tincan_protocol::wire::{self, Frame as _, relay_reply, relay_request};
use tincan_relay::RelayLimits;
use tincan_relay::mailbox::{Session, Step};

use super::*;
use crate::net::client::{ANSWER_TIMEOUT, Client as _, ClientOutput, Frame};

const START: Duration = Duration::ZERO;

/// A client whose connection has just been made, and the relay's session on it.
fn connected(queues: Vec<OwnQueue>) -> (RelayClient, Session) {
    let server: tincan_protocol::origin::ServerUrl = "http://relay.example".parse().unwrap();
    let session = Session::new([3; 32], server.origin(), &RelayLimits::default(), START);
    let mut client = RelayClient::new(server, 1);
    let _ = client.handle_command(RelayCommand::Queues(queues), START);
    client.handle_connected();
    let challenge = session.challenge(StoreId::from_bytes([4; 16])).write();
    client
        .handle_frame(Frame::Binary(challenge), START)
        .unwrap();
    (client, session)
}

fn own_queue() -> OwnQueue {
    let key = QueueKey::from_seed(&[5; 32]);
    let token_hash = WriteToken::from_bytes([6; 16]).hash();
    OwnQueue { key, token_hash }
}

/// What the client has sent since it was asked last.
fn sent(client: &mut RelayClient) -> Vec<Bytes> {
    let outputs = std::iter::from_fn(|| client.poll_output());
    let frames = outputs.filter_map(|output| match output {
        ClientOutput::Send(Frame::Binary(bytes)) => Some(bytes),
        _ => None,
    });
    frames.collect()
}

/// Answers everything with yes, and returns the last request.
fn agree(client: &mut RelayClient) -> wire::RelayRequest {
    let requests = sent(client).into_iter();
    let requests: Vec<_> = requests
        .map(|bytes| wire::RelayRequest::read(bytes).unwrap())
        .collect();
    for request in &requests {
        answer(client, request.id, relay_reply::Kind::Done(wire::Done {})).unwrap();
    }
    requests.last().expect("a request").clone()
}

fn answer(client: &mut RelayClient, id: u64, kind: relay_reply::Kind) -> Result<(), Lost> {
    let kind = Some(kind);
    let reply = wire::RelayReply { id, kind }.write();
    client.handle_frame(Frame::Binary(reply), START)
}

/// Its requests were late: another connection of the same peer had been made, and lost the mailbox to it.
#[test]
fn regression_a_mailbox_that_another_connection_has_taken_is_read_again() {
    let (mut client, _) = connected(vec![own_queue()]);
    let (_auth, _create) = (agree(&mut client), agree(&mut client));
    let subscribe = agree(&mut client);
    assert!(matches!(
        subscribe.kind,
        Some(relay_request::Kind::Subscribe(_))
    ));
    let error = || {
        relay_reply::Kind::Error(wire::RelayError {
            code: wire::RelayErrorCode::BadRequest.into(),
            text: "another connection has subscribed to this queue".to_owned(),
            retry_after_ms: 0,
        })
    };
    answer(&mut client, subscribe.id + 7, error()).expect("nothing of ours");
    let lost = answer(&mut client, subscribe.id, error()).unwrap_err();
    assert!(lost.to_string().contains("another connection"), "{lost}");
}

#[test]
fn the_end_of_a_mailbox_that_is_not_wanted_any_more_is_no_loss() {
    let (mut client, _) = connected(vec![own_queue()]);
    let (_auth, _create) = (agree(&mut client), agree(&mut client));
    let subscribe = agree(&mut client);
    let delete = RelayCommand::DeleteQueue(own_queue().key);
    client.handle_command(delete, START).unwrap();
    let error = wire::RelayError {
        code: wire::RelayErrorCode::NoSuchQueue.into(),
        ..wire::RelayError::default()
    };
    answer(&mut client, subscribe.id, relay_reply::Kind::Error(error)).unwrap();
}

/// It was, every 30 s.
#[test]
fn regression_a_connection_with_nothing_to_write_yet_is_not_ended_by_the_relay() {
    let (mut client, mut session) = connected(Vec::new());
    for frame in sent(&mut client) {
        let step = session.handle_frame(frame);
        assert!(matches!(step, Step::Answer(_)), "{step:?}");
    }
    assert_eq!(
        session.handle_timeout(Duration::from_millis(LOGIN_TIMEOUT_MS)),
        None
    );
}

#[test]
fn regression_a_relay_that_speaks_before_its_challenge_is_left() {
    let mut client = RelayClient::new("http://relay.example".parse().unwrap(), 1);
    client.handle_connected();
    let drained = wire::Drained {
        queue: own_queue().key.queue().to_vec(),
    };
    assert!(answer(&mut client, 0, relay_reply::Kind::Drained(drained)).is_err());
    assert!(client.poll_output().is_none(), "it was believed");
}

#[test]
fn regression_a_relay_that_answers_nothing_is_left() {
    let late = ANSWER_TIMEOUT + Duration::from_millis(1);
    let mut silent = RelayClient::new("http://relay.example".parse().unwrap(), 1);
    silent.handle_connected();
    assert!(silent.handle_timeout(ANSWER_TIMEOUT).is_ok());
    assert!(silent.handle_timeout(late).is_err(), "no challenge");
    let (mut mute, _) = connected(vec![own_queue()]);
    assert!(mute.handle_timeout(ANSWER_TIMEOUT).is_ok());
    assert!(mute.handle_timeout(late).is_err(), "no answer to the login");
}

/// The proofs of a long-lived connection came to what a relay takes, and new mailboxes were refused there.
#[test]
fn regression_a_key_is_proved_once_on_a_connection() {
    let (mut client, _) = connected(vec![own_queue()]);
    sent(&mut client);
    let mut proofs = 0;
    for _ in 0..3 {
        for command in [
            RelayCommand::DeleteQueue(QueueKey::from_seed(&[8; 32])),
            RelayCommand::Publish {
                owner: QueueKey::from_seed(&[9; 32]),
                token_hash: WriteToken::from_bytes([6; 16]).hash(),
                packages: Vec::new(),
                last_resort: None,
            },
        ] {
            client.handle_command(command, START).unwrap();
        }
        for frame in sent(&mut client) {
            let kind = wire::RelayRequest::read(frame).unwrap().kind;
            if let Some(relay_request::Kind::Auth(auth)) = kind {
                proofs += auth.proofs.len();
            }
        }
    }
    assert_eq!(proofs, 2);
}
