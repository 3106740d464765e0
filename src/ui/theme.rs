//! Every colour and size of the window. Greys are neutral, so that a picture is judged beside grey and not colour;
//! there is one accent.

use std::sync::Arc;

use egui::epaint::text::FontData;
use egui::style::{HandleShape, Selection, TextCursorStyle, WidgetVisuals, Widgets};
use egui::{
    Color32, CornerRadius, FontDefinitions, FontFamily, FontId, Margin, Shadow, Stroke, TextStyle, Vec2, Visuals,
};

use crate::domain::Theme;

/// Every length is a multiple of this, in logical px.
pub const UNIT: f32 = 4.0;
/// Rounding of fields, buttons and pictures.
pub const ROUNDING: u8 = 6;
/// Rounding of cards and messages.
pub const ROUNDING_LARGE: u8 = 8;
/// Height of fields and buttons.
pub const CONTROL_HEIGHT: f32 = 32.0;
/// Height of the Generate button.
pub const GENERATE_HEIGHT: f32 = 44.0;
/// Width of the rail of places.
pub const RAIL_WIDTH: f32 = 72.0;
/// Width of the draft's column.
pub const DRAFT_WIDTH: f32 = 340.0;
/// Width of the draft's column in a small window.
pub const DRAFT_WIDTH_NARROW: f32 = 300.0;
/// Width of the recipe beside a large picture.
pub const RECIPE_WIDTH: f32 = 320.0;
/// Width of the filmstrip.
pub const FILM_WIDTH: f32 = 132.0;
/// Width of the filmstrip in a small window.
pub const FILM_WIDTH_NARROW: f32 = 96.0;
/// Windows narrower than this take the narrow columns.
pub const NARROW_BELOW: f32 = 1100.0;
/// Windows lower than this take fewer rows for the prompt.
pub const SHORT_BELOW: f32 = 700.0;
/// Smallest side of a tile in the gallery's grid.
pub const TILE_SIDE: f32 = 168.0;
/// Side of the buttons in the corners of a tile.
pub const TILE_BUTTON: f32 = 24.0;
/// Width of the list of collections.
pub const SHELVES_WIDTH: f32 = 196.0;
/// Width of the list of collections in a small window.
pub const SHELVES_WIDTH_NARROW: f32 = 160.0;
/// Width of the choice of an order.
pub const SORT_WIDTH: f32 = 136.0;
/// Width of the button that keeps a search.
pub const SAVE_SEARCH_WIDTH: f32 = 108.0;
/// Bars wider than this have room for words beside their buttons.
pub const WIDE_BAR: f32 = 560.0;
/// Width of a pip of a rating.
pub const PIP_WIDTH: f32 = 16.0;
/// Room for "First" or "Then" before what it says.
pub const SIDE_NAME_WIDTH: f32 = 44.0;
/// Width of the windows over the window, such as the report of an import.
pub const MODAL_WIDTH: f32 = 640.0;
/// What of the window's height is left around the lists in them.
pub const MODAL_REST_HEIGHT: f32 = 340.0;
/// The smallest height of such a list.
pub const MODAL_LIST_HEIGHT: f32 = 160.0;
/// Smallest width of a picture with its caption beside it.
pub const CARD_WIDTH: f32 = 340.0;
/// Height of a picture with its caption beside it.
pub const CARD_HEIGHT: f32 = 132.0;
/// Room for the name before a bar.
pub const BAR_NAME_WIDTH: f32 = 160.0;
/// Room for the count behind a bar.
pub const BAR_COUNT_WIDTH: f32 = 72.0;
/// Gap between tiles.
pub const TILE_GAP: f32 = 12.0;
/// Width of a column of text, as in Settings.
pub const TEXT_WIDTH: f32 = 640.0;
/// Width of a page of cards, as in Models.
pub const CARDS_WIDTH: f32 = 760.0;
/// Room for a button beside a card's text.
pub const CARD_BUTTON_WIDTH: f32 = 132.0;
/// Width of the keys of an act, where many stand below each other.
pub const KEYS_WIDTH: f32 = 96.0;
/// Between the edge of a dialog and what stands in it.
pub const DIALOG_MARGIN: f32 = 3.0 * UNIT;
/// Width of the dialog in which a grid is written.
pub const GRID_WIDTH: f32 = 560.0;
/// Width of the choice of what differs along an axis.
pub const GRID_FIELD_WIDTH: f32 = 168.0;
/// Width of the button that opens it.
pub const GRID_BUTTON_WIDTH: f32 = 64.0;
/// Width of a message.
pub const NOTICE_WIDTH: f32 = 360.0;
/// Width of the palette.
pub const PALETTE_WIDTH: f32 = 560.0;
/// Width of the cheat sheet and of the list of errors.
pub const SHEET_WIDTH: f32 = 640.0;
/// Width of the tour's card.
pub const TOUR_WIDTH: f32 = 300.0;
/// Side of a small icon.
pub const ICON: f32 = 16.0;
/// How far from an edge of the picture to begin with it can be taken hold of: towards the picture.
pub const GRIP_INSIDE: f32 = 2.0;
/// The same: away from it.
pub const GRIP_OUTSIDE: f32 = 12.0;
/// Side of the marks on its edges.
pub const GRIP_MARK: f32 = 8.0;
/// Over the parts of a picture that are cut off.
pub const CUT: Color32 = Color32::from_black_alpha(150);
/// The brush's outline, and what is around it: one of the two is seen on any picture.
pub const BRUSH_LINES: [Color32; 2] = [Color32::WHITE, Color32::BLACK];
/// How far an arrow key moves the picture to begin with.
pub const PAN_STEP: f32 = 40.0;
/// Between the lines of a hatched ground.
pub const HATCH: f32 = 12.0;
/// Width that all tools of a mask take in one row.
pub const TOOLS_WIDTH: f32 = 640.0;
/// Width of the slider of the brush's size.
pub const BRUSH_SLIDER_WIDTH: f32 = 96.0;
/// Width of a field for some px.
pub const PX_FIELD_WIDTH: f32 = 64.0;
/// Width of what a training will need, and of its curves.
pub const TRAINING_SIDE_WIDTH: f32 = 340.0;
/// The same in a small window.
pub const TRAINING_SIDE_WIDTH_NARROW: f32 = 280.0;
/// Width of a column of a training's settings.
pub const SETTING_WIDTH: f32 = 190.0;
/// Height of the large curve of a training.
pub const CURVE_HEIGHT: f32 = 150.0;
/// Height of its small ones.
pub const CURVE_HEIGHT_SMALL: f32 = 76.0;
/// Side of a training's small pictures.
pub const MOMENT_SIDE: f32 = 64.0;
/// How far a small picture is blown up at most.
pub const MAX_ENLARGEMENT: f32 = 4.0;

/// The colours of a theme.
#[derive(Clone, Copy, Debug)]
pub struct Palette {
    /// Behind the rail of places.
    pub rail: Color32,
    /// Behind columns and pages.
    pub panel: Color32,
    /// Behind pictures.
    pub canvas: Color32,
    /// Fields and buttons at rest.
    pub field: Color32,
    /// The same under the pointer.
    pub field_hover: Color32,
    /// The same while pressed.
    pub field_pressed: Color32,
    /// Hairlines between areas.
    pub line: Color32,
    /// Outlines of fields.
    pub outline: Color32,
    /// Text.
    pub text: Color32,
    /// Labels.
    pub text_dim: Color32,
    /// Hints.
    pub text_faint: Color32,
    /// The one accent: what to do next, what is chosen, how far it is.
    pub accent: Color32,
    /// The accent under the pointer.
    pub accent_hover: Color32,
    /// The accent while pressed.
    pub accent_pressed: Color32,
    /// Text on the accent.
    pub on_accent: Color32,
    /// Behind what is chosen.
    pub accent_soft: Color32,
    /// In a prompt: names of files. These three are nearly grey: a picture is judged beside them.
    pub named: Color32,
    /// In a prompt: what is drawn by lot.
    pub drawn: Color32,
    /// In a prompt: what changes with the steps.
    pub timed: Color32,
    /// What went wrong.
    pub danger: Color32,
    /// Over what of a picture is painted anew.
    pub mask: Color32,
    /// Messages and popups.
    pub raised: Color32,
}

const fn grey(value: u8) -> Color32 {
    Color32::from_gray(value)
}

/// Neither theme's: it lies on pictures, in a colour that few of them have. Half of it, premultiplied.
const MASK: Color32 = Color32::from_rgba_premultiplied(0x86, 0x18, 0x58, 0x90);

static DARK: Palette = Palette {
    rail: grey(0x14),
    panel: grey(0x1b),
    canvas: grey(0x12),
    field: grey(0x27),
    field_hover: grey(0x30),
    field_pressed: grey(0x22),
    line: grey(0x26),
    outline: grey(0x38),
    text: grey(0xe8),
    text_dim: grey(0xa8),
    text_faint: grey(0x90),
    accent: Color32::from_rgb(0xe8, 0xa5, 0x4b),
    accent_hover: Color32::from_rgb(0xf2, 0xb6, 0x65),
    accent_pressed: Color32::from_rgb(0xcf, 0x8f, 0x3a),
    on_accent: grey(0x16),
    accent_soft: Color32::from_rgb(0x3a, 0x30, 0x22),
    named: Color32::from_rgb(0x9c, 0xb8, 0xd8),
    drawn: Color32::from_rgb(0x9e, 0xc4, 0xa6),
    timed: Color32::from_rgb(0xc2, 0xae, 0xd8),
    danger: Color32::from_rgb(0xf0, 0x7a, 0x72),
    mask: MASK,
    raised: grey(0x24),
};

static LIGHT: Palette = Palette {
    rail: grey(0xe4),
    panel: grey(0xf4),
    canvas: grey(0xdc),
    field: grey(0xff),
    field_hover: grey(0xea),
    field_pressed: grey(0xe0),
    line: grey(0xdc),
    outline: grey(0xc6),
    text: grey(0x1c),
    text_dim: grey(0x52),
    text_faint: grey(0x5e),
    accent: Color32::from_rgb(0xa8, 0x5f, 0x08),
    accent_hover: Color32::from_rgb(0x98, 0x55, 0x06),
    accent_pressed: Color32::from_rgb(0x84, 0x49, 0x04),
    on_accent: grey(0xff),
    accent_soft: Color32::from_rgb(0xf3, 0xe2, 0xc8),
    named: Color32::from_rgb(0x2e, 0x56, 0x86),
    drawn: Color32::from_rgb(0x2f, 0x62, 0x40),
    timed: Color32::from_rgb(0x64, 0x46, 0x88),
    danger: Color32::from_rgb(0xb3, 0x26, 0x1e),
    mask: MASK,
    raised: grey(0xfc),
};

/// The dark colours, or the light ones.
#[must_use]
pub fn palette_of(theme: egui::Theme) -> &'static Palette {
    match theme {
        egui::Theme::Dark => &DARK,
        egui::Theme::Light => &LIGHT,
    }
}

/// The colours of the theme that is shown.
#[must_use]
pub fn palette(ui: &egui::Ui) -> &'static Palette {
    palette_of(egui::Theme::from_dark_mode(ui.visuals().dark_mode))
}

/// The colour of a prompt's words by their weight: the more they count the nearer to the accent, the less the fainter.
#[must_use]
pub fn weight_colour(p: &Palette, weight: f64) -> Color32 {
    // Half a weight more or less is the strongest; a tenth is to be seen.
    let strength = |far: f64| (0.3 + 1.4 * far).min(1.0) as f32;
    match weight {
        weight if weight > 1.0 => p.text.lerp_to_gamma(p.accent, strength(weight - 1.0)),
        weight if weight < 1.0 => p.text.lerp_to_gamma(p.text_faint, strength(1.0 - weight)),
        _ => p.text,
    }
}

/// A px of a mask on the graphics card, before it is given its colour.
#[must_use]
pub fn mask_px(level: u8) -> Color32 {
    Color32::from_white_alpha(level)
}

/// The semibold face, for titles and the names of fields.
#[must_use]
pub fn semibold(size: f32) -> FontId {
    FontId::new(size, FontFamily::Name("semibold".into()))
}

/// The text style of page titles.
#[must_use]
pub fn title() -> TextStyle {
    TextStyle::Heading
}

/// The text style of the names of fields.
#[must_use]
pub fn label() -> TextStyle {
    TextStyle::Name("label".into())
}

/// Gives a context the fonts, sizes and colours of both themes. Once, at the start.
pub fn install(ctx: &egui::Context) {
    ctx.set_fonts(fonts());
    for theme in [egui::Theme::Dark, egui::Theme::Light] {
        ctx.style_mut_of(theme, |style| style_for(style, theme));
    }
    // The scale is ours, to be remembered.
    ctx.options_mut(|options| options.zoom_with_keyboard = false);
}

/// Shows a theme, if it is not shown already.
pub fn show(ctx: &egui::Context, theme: Theme) {
    let wanted = match theme {
        Theme::Dark => egui::ThemePreference::Dark,
        Theme::Light => egui::ThemePreference::Light,
        Theme::System => egui::ThemePreference::System,
    };
    if ctx.options(|options| options.theme_preference) != wanted {
        ctx.set_theme(wanted);
    }
}

fn fonts() -> FontDefinitions {
    let mut fonts = FontDefinitions::default();
    let fallbacks = fonts.families.get(&FontFamily::Proportional).cloned().unwrap_or_default();
    let faces: [(&str, &'static [u8], FontFamily); 2] = [
        ("inter", include_bytes!("../../assets/fonts/Inter-Regular.otf"), FontFamily::Proportional),
        (
            "inter-semibold",
            include_bytes!("../../assets/fonts/Inter-SemiBold.otf"),
            FontFamily::Name("semibold".into()),
        ),
    ];
    for (name, bytes, family) in faces {
        fonts.font_data.insert(name.to_owned(), Arc::new(FontData::from_static(bytes)));
        let chain = std::iter::once(name.to_owned()).chain(fallbacks.iter().cloned()).collect();
        fonts.families.insert(family, chain);
    }
    fonts
}

fn style_for(style: &mut egui::Style, theme: egui::Theme) {
    style.text_styles = [
        (TextStyle::Heading, semibold(18.0)),
        (TextStyle::Body, FontId::proportional(13.5)),
        (TextStyle::Button, FontId::proportional(13.5)),
        (TextStyle::Small, FontId::proportional(12.0)),
        (TextStyle::Monospace, FontId::monospace(12.0)),
        (label(), semibold(12.0)),
    ]
    .into();
    style.animation_time = 0.08;
    let spacing = &mut style.spacing;
    spacing.item_spacing = Vec2::new(2.0 * UNIT, 2.0 * UNIT);
    spacing.button_padding = Vec2::new(3.0 * UNIT, 1.5 * UNIT);
    spacing.interact_size = Vec2::new(10.0 * UNIT, CONTROL_HEIGHT);
    spacing.menu_margin = Margin::same(4);
    spacing.slider_rail_height = UNIT;
    spacing.combo_height = 400.0;
    spacing.icon_spacing = 1.5 * UNIT;
    spacing.tooltip_width = 320.0;
    // Floating over the content's margin, so that nothing moves when it comes.
    spacing.scroll = egui::style::ScrollStyle { floating_allocated_width: 0.0, ..egui::style::ScrollStyle::thin() };
    style.interaction.tooltip_delay = 0.4;
    style.interaction.selectable_labels = false;
    style.visuals = visuals(theme);
}

fn visuals(theme: egui::Theme) -> Visuals {
    let p = palette_of(theme);
    let base = match theme {
        egui::Theme::Dark => Visuals::dark(),
        egui::Theme::Light => Visuals::light(),
    };
    let radius = CornerRadius::same(ROUNDING);
    let widget = |fill, stroke, text| WidgetVisuals {
        bg_fill: fill,
        weak_bg_fill: fill,
        bg_stroke: stroke,
        corner_radius: radius,
        fg_stroke: Stroke::new(1.0, text),
        expansion: 0.0,
    };
    let shadow = Shadow { offset: [0, 4], blur: 16, spread: 0, color: Color32::from_black_alpha(64) };
    Visuals {
        weak_text_color: Some(p.text_faint),
        widgets: Widgets {
            noninteractive: widget(p.panel, Stroke::new(1.0, p.line), p.text),
            inactive: widget(p.field, Stroke::new(1.0, p.outline), p.text),
            hovered: widget(p.field_hover, Stroke::new(1.0, p.outline), p.text),
            active: widget(p.field_pressed, Stroke::new(1.5, p.accent), p.text),
            open: widget(p.field_hover, Stroke::new(1.0, p.accent), p.text),
        },
        // The fill is also behind selected text, which must stay readable.
        selection: Selection { bg_fill: p.accent_soft, stroke: Stroke::new(1.5, p.accent) },
        hyperlink_color: p.accent,
        faint_bg_color: p.field,
        extreme_bg_color: p.field,
        text_edit_bg_color: Some(p.field),
        code_bg_color: p.field,
        warn_fg_color: p.accent,
        error_fg_color: p.danger,
        window_corner_radius: CornerRadius::same(ROUNDING_LARGE),
        window_shadow: shadow,
        window_fill: p.raised,
        window_stroke: Stroke::new(1.0, p.outline),
        menu_corner_radius: CornerRadius::same(ROUNDING_LARGE),
        panel_fill: p.panel,
        popup_shadow: shadow,
        text_cursor: TextCursorStyle {
            stroke: Stroke::new(1.5, p.accent),
            // A blinking cursor repaints the window for as long as a field has the keyboard.
            blink: false,
            ..TextCursorStyle::default()
        },
        slider_trailing_fill: true,
        handle_shape: HandleShape::Circle,
        interact_cursor: Some(egui::CursorIcon::PointingHand),
        striped: false,
        disabled_alpha: 0.45,
        ..base
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// WCAG 2.2, relative luminance and contrast ratio.
    fn contrast(a: Color32, b: Color32) -> f64 {
        let luminance = |colour: Color32| {
            let channel = |value: u8| {
                let c = f64::from(value) / 255.0;
                if c <= 0.04045 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) }
            };
            0.2126 * channel(colour.r()) + 0.7152 * channel(colour.g()) + 0.0722 * channel(colour.b())
        };
        let (a, b) = (luminance(a), luminance(b));
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    #[test]
    fn text_can_be_read_in_both_themes() {
        for theme in [egui::Theme::Dark, egui::Theme::Light] {
            let p = palette_of(theme);
            // 4.5 is WCAG's AA for text.
            for (what, text, ground) in [
                ("text", p.text, p.panel),
                ("text in a field", p.text, p.field),
                ("label", p.text_dim, p.panel),
                ("hint", p.text_faint, p.panel),
                ("hint in a field", p.text_faint, p.field),
                ("a name in a prompt", p.named, p.field),
                ("a draw in a prompt", p.drawn, p.field),
                ("a schedule in a prompt", p.timed, p.field),
                ("a word that counts more", weight_colour(p, 1.2), p.field),
                ("a word that counts much more", weight_colour(p, 9.0), p.field),
                ("a word that counts less", weight_colour(p, 0.8), p.field),
                ("a word that counts against", weight_colour(p, -9.0), p.field),
                ("rail", p.text_dim, p.rail),
                ("error", p.danger, p.panel),
                ("error in a message", p.danger, p.raised),
                ("Generate", p.on_accent, p.accent),
                ("Generate, hovered", p.on_accent, p.accent_hover),
                ("chosen", p.text, p.accent_soft),
                ("label on the canvas", p.text_dim, p.canvas),
                ("hint on the canvas", p.text_faint, p.canvas),
                ("error on the canvas", p.danger, p.canvas),
            ] {
                let ratio = contrast(text, ground);
                assert!(ratio >= 4.5, "{theme:?}: {what} has {ratio:.2}");
            }
        }
    }
}
