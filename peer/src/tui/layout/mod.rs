//! Where things stand on the screen and how many rows they take, without a screen: the state needs it to scroll, the
//! view to draw.

pub(crate) mod item;
pub(crate) mod screen;
pub(crate) mod wrap;

/// One row of a conversation.
pub(crate) type Row = Vec<Span>;

/// A piece of a row. What it looks like is a theme's matter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) text: String,
    pub(crate) role: Role,
}

/// What a piece of text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Role {
    Text,
    /// Said by nobody: times, notices.
    Dim,
    OwnName,
    TheirName,
    /// How far an own message has come.
    Waiting,
    Sent,
    Delivered,
    Read,
    Failed,
    Quote,
    Reaction,
    DayLine,
    UnreadLine,
}

impl Span {
    pub(crate) fn new(text: impl Into<String>, role: Role) -> Self {
        Self {
            text: text.into(),
            role,
        }
    }
}
