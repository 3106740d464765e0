//! The card of the tour, beside what its step is about. Everything else can be used meanwhile.

use egui::{Align2, Area, Context, Frame, Id, Margin, Order, Pos2, RichText, Shape, Stroke, pos2, vec2};

use crate::studio::{Action, Place, ShellAction, State, TourStep};

use super::theme::{self, palette};
use super::widgets::{Emphasis, action_button_ui, button_ui, hint_ui, tooltip};

/// How far the card's tip sticks out.
const TIP: f32 = 8.0;
/// From the top of the window to the middle of the rail's second place.
const SECOND_PLACE_Y: f32 = 100.0;

/// The card, while the tour is shown and in a place that it is about.
pub fn tour_ui(ctx: &Context, state: &State, narrow: bool, actions: &mut Vec<Action>) {
    let Some(step) = state.shell.tour else { return };
    if state.place != Place::Create || state.shell.overlay.is_some() {
        return;
    }
    let screen = ctx.content_rect();
    let beside_draft =
        screen.left() + theme::RAIL_WIDTH + if narrow { theme::DRAFT_WIDTH_NARROW } else { theme::DRAFT_WIDTH };
    // The card's corner, the point that its tip shows at, and which of its corners that is.
    let (pivot, corner, tip_y) = match step {
        TourStep::Write => (Align2::LEFT_TOP, pos2(beside_draft + TIP, screen.top() + 24.0), screen.top() + 72.0),
        TourStep::Generate => {
            (Align2::LEFT_BOTTOM, pos2(beside_draft + TIP, screen.bottom() - 12.0), screen.bottom() - 44.0)
        }
        TourStep::Gallery => {
            let y = screen.top() + SECOND_PLACE_Y;
            (Align2::LEFT_TOP, pos2(screen.left() + theme::RAIL_WIDTH + TIP, y - 48.0), y)
        }
    };
    let area = Area::new(Id::unique("tour")).order(Order::Foreground).pivot(pivot).fixed_pos(corner);
    area.show(ctx, |ui| {
        let p = palette(ui);
        let stroke = Stroke::new(1.0, p.accent);
        let shadow = ui.visuals().popup_shadow;
        let frame = Frame::new()
            .fill(p.raised)
            .stroke(stroke)
            .corner_radius(theme::ROUNDING_LARGE)
            .shadow(shadow)
            .inner_margin(Margin::symmetric(16, 14));
        frame.show(ui, |ui| {
            ui.set_width(theme::TOUR_WIDTH);
            hint_ui(ui, format!("Step {} of {}", step.number(), TourStep::ALL.len()));
            ui.label(RichText::new(step.title()).font(theme::semibold(15.0)).color(p.text));
            ui.add(egui::Label::new(RichText::new(step.advice()).color(p.text_dim)).wrap());
            ui.add_space(theme::UNIT);
            ui.horizontal(|ui| {
                if step.next().is_some() {
                    let next = ShellAction::NextTourStep.into();
                    action_button_ui(ui, &next, Emphasis::Normal, vec2(0.0, 0.0), actions);
                    action_button_ui(ui, &ShellAction::EndTour.into(), Emphasis::Quiet, vec2(0.0, 0.0), actions);
                } else {
                    let done = button_ui(ui, "Done", Emphasis::Normal, vec2(0.0, 0.0));
                    if done.on_hover_text(tooltip(&ShellAction::EndTour.info())).clicked() {
                        actions.push(ShellAction::EndTour.into());
                    }
                }
            });
        });
        // The tip, over the card's edge so that no line runs between the two.
        let points: Vec<Pos2> =
            vec![pos2(corner.x + 1.0, tip_y - TIP), pos2(corner.x - TIP, tip_y), pos2(corner.x + 1.0, tip_y + TIP)];
        ui.painter().add(Shape::convex_polygon(points.clone(), p.raised, Stroke::NONE));
        ui.painter().line(points, stroke);
    });
}
