//! The paths along which the model and the real world are compared.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};

use super::super::Delivery;
use super::super::actions::Action;
use super::super::budget::{Bounds, Budget, ONE, TWO, both, link, messages, relay};
use super::super::state::State;
use super::abstraction::{abstracted, check_memory, visible};
use super::real::Real;
use crate::relay::Relay;

/// Both worlds, one step after the other.
struct Walk<'a> {
    model: &'a Delivery,
    state: State,
    real: Real,
    relay: &'a mut Relay,
    done: Vec<Action>,
}

impl<'a> Walk<'a> {
    fn new(model: &'a Delivery, relay: &'a mut Relay) -> Self {
        Self {
            model,
            state: State::new(&model.bounds),
            real: Real::new(relay, &model.bounds),
            relay,
            done: Vec::new(),
        }
    }

    /// Does an action in both worlds; that it does nothing in the model has to be so in the real one.
    fn step(&mut self, action: Action, compares: bool) {
        self.done.push(action);
        if let Some(next) = self.model.after(&self.state, action) {
            self.state = next;
        }
        let compared = catch_unwind(AssertUnwindSafe(|| {
            self.real.act(action, self.relay);
            if compares {
                self.compare();
            }
        }));
        if let Err(panic) = compared {
            println!("after {:?}", self.done);
            resume_unwind(panic);
        }
    }

    fn compare(&mut self) {
        let (model, real) = (visible(&self.state), abstracted(&self.real, self.relay));
        if model != real {
            let (model, real) = (parts(&model), parts(&real));
            let differ = model
                .iter()
                .zip(&real)
                .filter(|(model, real)| model != real);
            for (model, real) in differ {
                println!("the model: {model}\nthe real:  {real}");
            }
            panic!("the model and what it models differ");
        }
        for (side, real) in self.state.sides.iter().zip(&self.real.sides) {
            check_memory(side, real);
        }
    }
}

/// A state in lines that can be compared by eye.
fn parts(state: &State) -> Vec<String> {
    let mut parts = Vec::new();
    for (at, side) in state.sides.iter().enumerate() {
        parts.push(format!("side {at}: {:?}", side.disk));
        parts.push(format!("side {at}, durable: {:?}", side.durable));
        parts.push(format!("side {at}: {:?}, {:?}", side.held, side.told));
        parts.push(format!("to side {at}: {:?}", state.wires[at]));
        parts.push(format!("to side {at}: {:?}", state.answers[at]));
        parts.push(format!("of side {at}: {:?}", state.mailboxes[at]));
    }
    parts.push(format!("link: {:?}", (state.link, state.link_is_bad)));
    parts
}

/// Every state within bounds, and where each action leads.
struct Graph {
    states: Vec<Node>,
}

struct Node {
    /// The first way to it: from which state, by which of its actions.
    parent: Option<(usize, usize)>,
    /// An action, where it leads, and whether it has been compared.
    edges: Vec<(Action, usize, bool)>,
}

impl Graph {
    fn of(model: &Delivery) -> Self {
        let start = State::new(&model.bounds);
        let mut numbers = HashMap::from([(start.clone(), 0)]);
        let mut states = vec![start];
        let mut nodes = vec![Node {
            parent: None,
            edges: Vec::new(),
        }];
        let mut at = 0;
        while at < states.len() {
            let mut actions = Vec::new();
            model.possible(&states[at], &mut actions);
            for action in actions {
                // What changes nothing is compared as well.
                let after = model.after(&states[at], action);
                let after = after.unwrap_or_else(|| states[at].clone());
                let new = states.len();
                let to = *numbers.entry(after.clone()).or_insert(new);
                if to == new {
                    states.push(after);
                    nodes.push(Node {
                        parent: Some((at, nodes[at].edges.len())),
                        edges: Vec::new(),
                    });
                }
                nodes[at].edges.push((action, to, false));
            }
            at += 1;
        }
        Self { states: nodes }
    }

    fn edges(&self) -> usize {
        self.states.iter().map(|node| node.edges.len()).sum()
    }

    /// The first way to a state: each step's state and action.
    fn way_to(&self, mut at: usize) -> Vec<(usize, usize)> {
        let mut way = Vec::new();
        while let Some(step) = self.states[at].parent {
            way.push(step);
            at = step.0;
        }
        way.reverse();
        way
    }

    /// An action of this state that has not been compared.
    fn open_edge(&self, at: usize) -> Option<usize> {
        self.states[at].edges.iter().position(|edge| !edge.2)
    }
}

/// Walks until every transition within the bounds has been compared.
fn cover(bounds: Bounds) {
    let model = Delivery::new(bounds, None);
    let mut graph = Graph::of(&model);
    let mut relay = Relay::new();
    let (mut walks, mut steps) = (0, 0);
    // The deepest first: the way to them compares much else.
    for last in (0..graph.states.len()).rev() {
        while graph.open_edge(last).is_some() {
            let mut walk = Walk::new(&model, &mut relay);
            let mut at = last;
            for (from, edge) in graph.way_to(last) {
                let (action, _, compared) = &mut graph.states[from].edges[edge];
                walk.step(*action, !std::mem::replace(compared, true));
            }
            while let Some(edge) = graph.open_edge(at) {
                let (action, to, compared) = &mut graph.states[at].edges[edge];
                *compared = true;
                walk.step(*action, true);
                at = *to;
            }
            walks += 1;
            steps += walk.done.len();
        }
        if walks % 500 == 0 {
            relay = Relay::new();
        }
    }
    let (states, edges) = (graph.states.len(), graph.edges());
    println!("{states} states, {edges} transitions, {walks} walks, {steps} steps: {bounds}");
}

#[test]
fn every_transition_of_the_link_is_one_of_the_core() {
    cover(link(TWO));
    cover(link(TWO.duplicates(1).reorders(1)));
    cover(link(ONE.crashes(1).keys(1)));
    cover(link(ONE.reads([0, 1]).link_losses(1)));
}

#[test]
fn every_transition_of_the_relay_is_one_of_the_core() {
    cover(relay(ONE.crashes(1).duplicates(1)));
    cover(relay(ONE.forgets(1)));
    cover(relay(ONE.relay_crashes(1).duplicates(1)));
    cover(relay(ONE.relay_crashes(1).crashes(1)));
    cover(relay(ONE.relay_losses(1).refusals(1)));
    cover(relay(ONE.keys(1).expiries(1)));
}

#[test]
fn every_transition_of_link_and_relay_is_one_of_the_core() {
    cover(both(ONE.duplicates(1)));
    cover(both(ONE.silent_forgets(1)));
}

/// Everything that the model knows of can happen.
const LONG: Budget = messages([5, 3])
    .reads([2, 2])
    .crashes(5)
    .duplicates(4)
    .drops(4)
    .reorders(4)
    .link_losses(4)
    .relay_losses(4)
    .relay_crashes(3)
    .refusals(4)
    .forgets(2)
    .silent_forgets(1)
    .keys(3)
    .expiries(1)
    .impatience(u8::MAX);

/// Steps of a random walk. Chosen: what `LONG` allows is used up before.
const STEPS: usize = 400;

fn random_walk(seed: u64, relay: &mut Relay) {
    let model = Delivery::new(both(LONG), None);
    let mut random = SmallRng::seed_from_u64(seed);
    let mut walk = Walk::new(&model, relay);
    let mut actions = Vec::new();
    for _ in 0..STEPS {
        actions.clear();
        model.possible(&walk.state, &mut actions);
        let is_open = walk
            .state
            .sides
            .iter()
            .any(super::super::state::Side::is_open);
        // Mostly what needs no fault, or the faults are over before anything was sent.
        if random.random_ratio(7, 8) {
            let mut regular = Vec::new();
            if is_open {
                regular.extend(
                    actions
                        .iter()
                        .copied()
                        .filter(|a| matches!(a, Action::Commit { .. })),
                );
            } else {
                model.regular(&walk.state, &mut regular);
            }
            if !regular.is_empty() {
                actions = regular;
            }
        }
        let action = actions[random.random_range(0..actions.len())];
        walk.step(action, true);
    }
}

#[test]
fn long_random_walks_stay_together() {
    let walks = if std::env::var_os(crate::WIDE).is_some() {
        5_000
    } else {
        200
    };
    let mut relay = Relay::new();
    for seed in 0..walks {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| random_walk(seed, &mut relay))) {
            eprintln!("with the seed {seed}");
            resume_unwind(panic);
        }
        if seed % 50 == 49 {
            relay = Relay::new();
        }
    }
}
