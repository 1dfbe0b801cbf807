//! The areas of the screen.

use ratatui::layout::Rect;

/// From so many columns on the list stands beside the conversation; below, one of them is shown. Chosen: the list and
/// 40 columns of text.
const BESIDE_MIN: u16 = 64;

/// Columns of the list. Chosen: a name of 18 letters with marks and count.
const LIST_WIDTH: u16 = 24;

/// Most rows of the composer: a third of the screen, but no more than this.
const COMPOSER_MAX: u16 = 10;

/// Where everything stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Areas {
    /// The list of conversations, if it is shown.
    pub(crate) list: Option<Rect>,
    /// The conversation, if it is shown.
    pub(crate) conversation: Option<ConversationAreas>,
    /// The last row.
    pub(crate) status: Rect,
}

/// The parts of a conversation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ConversationAreas {
    pub(crate) title: Rect,
    pub(crate) timeline: Rect,
    /// A line above it and the text.
    pub(crate) composer: Rect,
}

impl Areas {
    /// For a screen and a composer of so many rows. Where there is room for one only, `is_list` says which.
    pub(crate) fn of(screen: Rect, composer_rows: u16, is_list: bool) -> Self {
        let status_height = screen.height.min(1);
        let body = Rect {
            height: screen.height - status_height,
            ..screen
        };
        let status = Rect {
            y: body.bottom(),
            height: status_height,
            ..screen
        };
        if screen.width < BESIDE_MIN {
            return Self {
                list: is_list.then_some(body),
                conversation: (!is_list).then(|| ConversationAreas::of(body, composer_rows)),
                status,
            };
        }
        let list = Rect {
            width: LIST_WIDTH,
            ..body
        };
        let rest = Rect {
            x: list.right(),
            width: body.width - LIST_WIDTH,
            ..body
        };
        Self {
            list: Some(list),
            conversation: Some(ConversationAreas::of(rest, composer_rows)),
            status,
        }
    }
}

impl ConversationAreas {
    fn of(area: Rect, composer_rows: u16) -> Self {
        let title_height = area.height.min(1);
        let left = area.height - title_height;
        let most = COMPOSER_MAX.min(area.height / 3).max(1);
        // With the line above it.
        let composer_height = (composer_rows.clamp(1, most) + 1).min(left);
        let timeline_height = left - composer_height;
        let title = Rect {
            height: title_height,
            ..area
        };
        let timeline = Rect {
            y: title.bottom(),
            height: timeline_height,
            ..area
        };
        let composer = Rect {
            y: timeline.bottom(),
            height: composer_height,
            ..area
        };
        Self {
            title,
            timeline,
            composer,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn areas_cover_the_screen_and_do_not_overlap() {
        for width in 0..120u16 {
            for height in 0..40u16 {
                for (rows, is_list) in [(1, true), (1, false), (30, false)] {
                    let screen = Rect::new(0, 0, width, height);
                    let areas = Areas::of(screen, rows, is_list);
                    let parts = areas.conversation.into_iter();
                    let parts = parts.flat_map(|one| [one.title, one.timeline, one.composer]);
                    let all: Vec<Rect> = parts.chain(areas.list).chain([areas.status]).collect();
                    let cells: u32 = all.iter().map(|one| one.area()).sum();
                    assert_eq!(cells, screen.area(), "{width}x{height}: {all:?}");
                    assert!(all.iter().all(|one| one.intersection(screen) == *one));
                }
            }
        }
    }

    #[test]
    fn a_narrow_screen_shows_one_of_them() {
        let areas = |is_list| Areas::of(Rect::new(0, 0, 40, 20), 1, is_list);
        assert!(areas(true).list.is_some() && areas(true).conversation.is_none());
        assert!(areas(false).list.is_none() && areas(false).conversation.is_some());
    }
}
