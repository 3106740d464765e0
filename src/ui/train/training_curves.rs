//! What a training measures, as curves over its steps.

use egui::{Color32, Role, Sense, Stroke, Ui, Vec2b, WidgetInfo, vec2};
use egui_plot::{AxisHints, Line, Plot, PlotPoints};

use crate::studio::{Curve, TrainingRun};
use crate::ui::theme::{self, palette};
use crate::ui::widgets::hint_ui;

use super::training::title_ui;

/// A small curve: its name, what it tells, its values, and how one is written.
type Small<'a> = (&'a str, &'a str, &'a Curve, fn(f64) -> String);

/// All curves.
pub fn curves_ui(ui: &mut Ui, run: &TrainingRun) {
    let p = palette(ui);
    let curves = &run.curves;
    ui.horizontal(|ui| {
        title_ui(ui, "Loss");
        if let Some(now) = &run.now {
            hint_ui(ui, format!("{:.4}", now.smoothed));
        }
        ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
            if !curves.validation.points().is_empty() {
                key_ui(ui, "kept apart", p.named);
            }
            key_ui(ui, "averaged", p.accent);
            key_ui(ui, "each step", p.text_faint.gamma_multiply(0.6));
        });
    });
    let lines = [
        (&curves.loss, p.text_faint.gamma_multiply(0.45), 1.0),
        (&curves.smoothed, p.accent, 2.0),
        (&curves.validation, p.named, 2.0),
    ];
    plot_ui(ui, "Loss", &lines, run, theme::CURVE_HEIGHT, ui.available_width());
    let gap = 3.0 * theme::UNIT;
    let width = ((ui.available_width() - gap) / 2.0).floor();
    let small: [Small<'_>; 4] = [
        ("Learning rate", "How far each step goes", &curves.lr, |value| format!("{value:.1e}")),
        (
            "Gradient norm",
            "How strongly the weights are pulled, before it is made shorter",
            &curves.grad_norm,
            |value| format!("{value:.2}"),
        ),
        ("Steps a minute", "How fast it is", &curves.pace, |value| format!("{value:.1}")),
        ("Memory", "What the whole program takes, in GB", &curves.memory, |value| format!("{value:.1} GB")),
    ];
    for row in small.chunks(2) {
        ui.horizontal_top(|ui| {
            ui.spacing_mut().item_spacing.x = gap;
            for (name, tooltip, curve, text) in row {
                ui.vertical(|ui| {
                    ui.set_width(width);
                    ui.spacing_mut().item_spacing.y = 2.0;
                    ui.horizontal(|ui| {
                        hint_ui(ui, *name).on_hover_text(*tooltip);
                        ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
                            let value = curve.last().map_or_else(String::new, text);
                            ui.label(egui::RichText::new(value).small().color(p.text));
                        });
                    });
                    plot_ui(ui, name, &[(curve, p.accent, 1.5)], run, theme::CURVE_HEIGHT_SMALL, width);
                });
            }
        });
    }
}

/// Which colour is what.
fn key_ui(ui: &mut Ui, text: &str, colour: Color32) {
    hint_ui(ui, text);
    let (rect, _) = ui.allocate_exact_size(vec2(10.0, 10.0), Sense::hover());
    ui.painter().hline(rect.x_range(), rect.center().y, Stroke::new(2.0, colour));
}

/// Curves over the steps. They cannot be dragged or zoomed: the wheel scrolls the column.
fn plot_ui(ui: &mut Ui, name: &str, lines: &[(&Curve, Color32, f32)], run: &TrainingRun, height: f32, width: f32) {
    let p = palette(ui);
    let is_large = height >= theme::CURVE_HEIGHT;
    let steps = run.now.map_or(1, |now| now.steps).max(1) as f64;
    let font = egui::FontId::proportional(10.0);
    let axis = |hints: AxisHints<'static>| hints.tick_label_font(font.clone()).tick_label_color(p.text_faint);
    let y_axis = axis(AxisHints::new_y().formatter(|mark, _| brief(mark.value)).min_thickness(28.0));
    let x_axis = axis(AxisHints::new_x().formatter(|mark, _| brief(mark.value)));
    let response = egui::Frame::new()
        .fill(p.canvas)
        .corner_radius(theme::ROUNDING)
        .show(ui, |ui| {
            Plot::new(("training curve", name))
                .width(width)
                .height(height)
                .show_axes(Vec2b::new(is_large, is_large))
                .show_grid(Vec2b::new(false, is_large))
                .grid_color(p.outline)
                .show_background(false)
                .custom_x_axes(vec![x_axis])
                .custom_y_axes(vec![y_axis])
                .allow_drag(false)
                .allow_zoom(false)
                .allow_scroll(false)
                .allow_boxed_zoom(false)
                .allow_double_click_reset(false)
                .allow_axis_zoom_drag(false)
                .show_x(false)
                .show_y(false)
                .set_margin_fraction(vec2(0.01, 0.1))
                .include_x(0.0)
                .include_x(steps)
                .include_y(0.0)
                .show(ui, |plot| {
                    for (i, (curve, colour, width)) in lines.iter().enumerate() {
                        let points: PlotPoints<'_> = curve.points().iter().copied().collect();
                        plot.line(
                            Line::new(format!("{name} {i}"), points).color(*colour).width(*width).allow_hover(false),
                        );
                    }
                })
        })
        .inner
        .response;
    let told = lines.iter().rev().find_map(|(curve, ..)| curve.last());
    let label = told.map_or_else(|| format!("Curve: {name}"), |value| format!("Curve: {name}, now {}", brief(value)));
    response.widget_info(|| WidgetInfo::labeled(Role::Image, true, &label));
}

/// A number in as few signs as tell it.
fn brief(value: f64) -> String {
    let size = value.abs();
    if value == 0.0 {
        "0".to_owned()
    } else if size >= 1000.0 {
        format!("{}k", value / 1000.0)
    } else if size >= 0.01 {
        let text = format!("{value:.2}");
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        format!("{value:.0e}")
    }
}

#[cfg(test)]
mod tests {
    use super::brief;

    #[test]
    fn numbers_are_brief() {
        assert_eq!(
            [0.0, 0.0001, 0.05, 0.2, 1.0, 12.5, 100.0, 1500.0].map(brief),
            ["0", "1e-4", "0.05", "0.2", "1", "12.5", "100", "1.5k"]
        );
    }
}
