//! A hostile signaling server gets no session, whatever it does with signals; and messages arrive
//! although it does it.

mod server;
mod with_keys;
mod world;

use tincan_protocol::SignalAddress;

use server::Knock;
use world::{LIMIT, Pair, World, is_description};

/// A copy of a signal for each of its bytes, with that byte changed.
fn each_byte_changed(knock: &Knock) -> Vec<Knock> {
    let changed = |at: usize| {
        let mut knock = knock.clone();
        knock.body[at] ^= 1 << (at % 8);
        knock
    };
    (0..knock.body.len()).map(changed).collect()
}

/// The server is honest from now on: there is a link, and messages go over it.
async fn honest_signals_make_a_link(world: &World, mut pair: Pair) {
    world.server.be_honest();
    pair.linked().await;
    pair.talk().await;
    pair.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_changes_any_byte_of_a_sealed_signal_gets_no_session() {
    let world = World::start().await;
    world.server.treat(|knock| each_byte_changed(&knock));
    let mut pair = world.pair().await;
    world.both_have_offered(&pair).await;
    pair.talk().await;
    for side in [&mut pair.ann, &mut pair.bob] {
        world.has_read_all(side).await;
        // It has seen the other's offer once for each of its bytes.
        assert!(side.unreadable() > 800);
    }
    assert_eq!(pair.links_made().await, 0);
    honest_signals_make_a_link(&world, pair).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_replays_sealed_signals_gets_no_session() {
    let world = World::start().await;
    let mut pair = world.pair().await;
    pair.linked().await;
    pair.talk().await;
    pair.links_made().await;
    let all = world.server.knocks();

    // While the link lives, nothing comes of a second time, nor of a signal to its own sender.
    for knock in &all {
        let back = Knock {
            to: knock.from,
            from: knock.to,
            body: knock.body.clone(),
        };
        assert!(world.server.deliver(knock.clone()) && world.server.deliver(back));
    }
    for side in [&mut pair.ann, &mut pair.bob] {
        world.has_read_all(side).await;
    }
    pair.linked().await;
    pair.talk().await;
    assert_eq!(pair.links_made().await, 0);

    // The one who offered goes: the link is down, and nothing comes of the old offer either.
    let offer = all.iter().find(|knock| is_description(knock)).unwrap();
    let (gone, mut stays) = if offer.from == pair.ann.address {
        (pair.ann, pair.bob)
    } else {
        (pair.bob, pair.ann)
    };
    gone.end();
    stays.unlinked().await;
    let before = world.server.knocks().len();
    for knock in all.iter().filter(|knock| knock.to == stays.address) {
        assert!(world.server.deliver(knock.clone()));
    }
    // An attempt would be told of: the offer would be answered before the next news are read.
    world.has_read_all(&mut stays).await;
    assert_eq!(stays.links_made().await, 0);
    stays.end();
    // Claiming that the contact is there makes one new offer at most.
    let said = world.server.knocks().split_off(before);
    assert!(said.iter().filter(|knock| is_description(knock)).count() <= 1);

    let pair = world.pair().await;
    honest_signals_make_a_link(&world, pair).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_replays_an_offer_to_one_who_forgot_it_gets_no_session() {
    let world = World::start().await;
    let mut pair = world.pair().await;
    pair.linked().await;
    pair.end();
    let old = world.server.knocks();
    let offer = old.iter().find(|knock| is_description(knock)).unwrap();

    // Nobody remembers the session, and no signal but the old ones arrives.
    world.server.treat(|_| Vec::new());
    let before = old.len();
    let mut pair = world.pair().await;
    world.server.deliver(offer.clone());
    let answered = |knock: &Knock| knock.from == offer.to && is_description(knock);
    world.server.knock_after(before, LIMIT, answered).await;
    // The new answer to the old offer, everything else that was said, and all old signals.
    let said = world.server.knocks().split_off(before);
    for knock in said
        .iter()
        .filter(|knock| knock.from == offer.to)
        .chain(&old)
    {
        assert!(world.server.deliver(knock.clone()));
    }
    for side in [&mut pair.ann, &mut pair.bob] {
        world.has_read_all(side).await;
    }
    pair.talk().await;
    assert_eq!(pair.links_made().await, 0);
    honest_signals_make_a_link(&world, pair).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_drops_all_signals_stops_no_message() {
    let world = World::start().await;
    world.server.treat(|_| Vec::new());
    let mut pair = world.pair().await;
    world.both_have_offered(&pair).await;
    pair.talk().await;
    assert_eq!(pair.links_made().await, 0);
    honest_signals_make_a_link(&world, pair).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_reorders_and_doubles_signals_gets_one_honest_session() {
    let world = World::start().await;
    let mut late: Vec<Knock> = Vec::new();
    world.server.treat(move |knock| {
        if is_description(&knock) {
            // It comes after what follows it.
            late.push(knock);
            return Vec::new();
        }
        let late = std::mem::take(&mut late);
        let mut all = vec![knock.clone()];
        all.extend(late.iter().rev().cloned());
        all.extend(late);
        all.push(knock);
        all
    });
    let mut pair = world.pair().await;
    pair.linked().await;
    pair.talk().await;
    for side in [&mut pair.ann, &mut pair.bob] {
        world.has_read_all(side).await;
    }
    pair.linked().await;
    assert_eq!(pair.links_made().await, 2, "once at each side");
    honest_signals_make_a_link(&world, pair).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_lets_signals_come_from_a_third_address_gets_no_session() {
    let world = World::start().await;
    let third = SignalAddress::from_bytes(rand::random());
    world.server.treat(move |mut knock| {
        knock.from = third;
        vec![knock]
    });
    let mut pair = world.pair().await;
    world.both_have_offered(&pair).await;
    pair.talk().await;
    for side in [&mut pair.ann, &mut pair.bob] {
        world.has_read_all(side).await;
    }
    assert_eq!(pair.links_made().await, 0);
    honest_signals_make_a_link(&world, pair).await;
}
