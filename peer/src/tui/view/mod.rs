//! Drawing the state, and nothing else.

mod conversation;
pub(crate) mod first_run;
mod list;
mod overlay;
mod status_bar;
pub(crate) mod theme;

use ratatui::Frame;

use super::state::App;
use theme::Theme;

/// Draws everything.
pub(crate) fn draw(frame: &mut Frame<'_>, app: &App, theme: &Theme) {
    let areas = app.areas();
    if let Some(area) = areas.list {
        list::draw(frame, area, app, theme);
    }
    if let Some(areas) = areas.conversation {
        conversation::draw(frame, areas, app, theme);
    }
    status_bar::draw(frame, areas.status, app, theme);
    if let Some(overlay) = &app.overlay {
        overlay::draw(frame, overlay, app, theme);
    }
}
