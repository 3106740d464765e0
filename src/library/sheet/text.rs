//! [`Face`]: text as pixels, from the font that the window uses too.

use std::sync::OnceLock;

use ab_glyph::{Font, FontRef, GlyphId, PxScale, ScaleFont, point};

/// Inter, as in the window.
const BYTES: &[u8] = include_bytes!("../../../assets/fonts/Inter-Regular.otf");
/// From line to line, in times of the font's size.
const LINE: f32 = 1.3;
/// How much of a text is looked at: more than fits beside any picture.
const MOST_CHARS: usize = 2000;
/// How wide the box is that stands for a character which the font lacks, in times of the font's size.
const BOX: f32 = 0.7;
/// What stands for what was cut off.
const CUT: char = '…';

/// A font that can be measured and drawn.
///
/// Characters that it lacks, such as Chinese ones, are drawn as empty boxes; none fails.
pub struct Face {
    font: &'static FontRef<'static>,
}

/// A pixel of text.
pub struct Ink {
    /// From the left of the picture.
    pub x: i32,
    /// From its top.
    pub y: i32,
    /// How much of it is covered, above 0 to 1.
    pub coverage: f32,
}

impl Face {
    /// The bundled face.
    pub fn bundled() -> Self {
        static FONT: OnceLock<FontRef<'static>> = OnceLock::new();
        // The bytes are those of the file in the sources, which a test reads.
        let font = FONT.get_or_init(|| FontRef::try_from_slice(BYTES).expect("the bundled font is a font"));
        Self { font }
    }

    /// From line to line, in px.
    pub fn line_px(font_px: f32) -> f32 {
        (font_px * LINE).round()
    }

    /// How wide a line is, in px.
    pub fn width(&self, line: &str, font_px: f32) -> f32 {
        let font = self.font.as_scaled(PxScale::from(font_px));
        line.chars().map(|c| self.glyph(c).map_or(BOX * font_px, |id| font.h_advance(id))).sum()
    }

    /// Breaks a text into lines of a width, between words where that is possible. What does not fit into `most_lines` is
    /// cut off, and the last line ends in `…`.
    pub fn wrap(&self, text: &str, width_px: f32, font_px: f32, most_lines: usize) -> Vec<String> {
        let seen = text.chars().take(MOST_CHARS).filter(|c| !is_invisible(*c));
        let clean: String = seen.map(|c| if c.is_control() { ' ' } else { c }).collect();
        let fits = |line: &str| self.width(line, font_px) <= width_px;
        let mut lines: Vec<String> = Vec::new();
        let mut line = String::new();
        for word in clean.split_whitespace() {
            let joined = if line.is_empty() { word.to_owned() } else { format!("{line} {word}") };
            if fits(&joined) {
                line = joined;
                continue;
            }
            if !line.is_empty() {
                lines.push(std::mem::take(&mut line));
            }
            // A word that is longer than a line is broken where it must be.
            for c in word.chars() {
                line.push(c);
                if !fits(&line) && line.chars().nth(1).is_some() {
                    line.pop();
                    lines.push(std::mem::replace(&mut line, c.to_string()));
                }
            }
            if lines.len() > most_lines {
                break;
            }
        }
        if !line.is_empty() {
            lines.push(line);
        }
        let is_cut = lines.len() > most_lines || text.chars().nth(MOST_CHARS).is_some();
        lines.truncate(most_lines);
        if let Some(last) = lines.last_mut().filter(|_| is_cut) {
            loop {
                let cut = format!("{}{CUT}", last.trim_end());
                if fits(&cut) || last.is_empty() {
                    *last = cut;
                    break;
                }
                last.pop();
            }
        }
        lines
    }

    /// Draws a line whose upper left is at `at`.
    pub fn draw(&self, line: &str, font_px: f32, at: (f32, f32), ink: &mut dyn FnMut(Ink)) {
        let font = self.font.as_scaled(PxScale::from(font_px));
        let leading = (Self::line_px(font_px) - (font.ascent() - font.descent())) / 2.0;
        let baseline = at.1 + leading + font.ascent();
        let mut x = at.0;
        for c in line.chars() {
            let Some(id) = self.glyph(c) else {
                draw_box((x, baseline), font_px, ink);
                x += BOX * font_px;
                continue;
            };
            let glyph = id.with_scale_and_position(font_px, point(x, baseline));
            if let Some(outline) = self.font.outline_glyph(glyph) {
                let corner = outline.px_bounds().min;
                outline.draw(|right, down, coverage| {
                    if coverage > 0.0 {
                        let (x, y) = (corner.x as i32 + right as i32, corner.y as i32 + down as i32);
                        ink(Ink { x, y, coverage: coverage.min(1.0) });
                    }
                });
            }
            x += font.h_advance(id);
        }
    }

    /// The glyph of a character, where the font has one.
    fn glyph(&self, c: char) -> Option<GlyphId> {
        Some(self.font.glyph_id(c)).filter(|id| id.0 != 0)
    }
}

/// An empty box on the line.
fn draw_box((left, baseline): (f32, f32), font_px: f32, ink: &mut dyn FnMut(Ink)) {
    let (left, bottom) = (left.round() as i32 + 1, baseline.round() as i32);
    let (width, height) = ((BOX * font_px) as i32 - 2, (BOX * font_px) as i32);
    for y in 0..height {
        for x in 0..width {
            if x == 0 || y == 0 || x == width - 1 || y == height - 1 {
                ink(Ink { x: left + x, y: bottom - height + y, coverage: 0.6 });
            }
        }
    }
}

/// Characters that only tell how others are drawn: joiners, direction marks, choices of a form.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn drawn(text: &str) -> usize {
        let mut pixels = 0;
        Face::bundled().draw(text, 20.0, (0.0, 0.0), &mut |_| pixels += 1);
        pixels
    }

    #[test]
    fn text_leaves_ink_also_where_the_font_has_no_glyph() {
        assert_eq!(drawn("   "), 0);
        assert!(drawn("Guidance 7") > 100);
        for missing in ["絹", "ไ", "👗", "\u{10ffff}"] {
            assert_eq!(Face::bundled().glyph(missing.chars().next().unwrap()), None, "{missing}");
            assert!(drawn(missing) > 10, "{missing}: a box stands for what is lacking");
        }
    }

    #[test]
    fn lines_are_broken_between_words_and_cut_with_a_sign() {
        let face = Face::bundled();
        let width = face.width("with stripes", 20.0) + 0.5;
        assert_eq!(
            face.wrap("a red dress with stripes", width, 20.0, 3),
            ["a red dress", "with stripes"].map(str::to_owned)[..]
        );
        let cut = face.wrap("a red dress with white stripes and a collar", width, 20.0, 2);
        assert_eq!(cut.len(), 2);
        assert!(cut[1].ends_with('…') && cut[1].starts_with("with"), "{cut:?}");
        assert!(face.wrap("", width, 20.0, 2).is_empty());
        let long = face.wrap(&"x".repeat(5000), width, 20.0, 2);
        assert!(long.len() == 2 && long[1].ends_with('…'), "{long:?}");
    }

    proptest! {
        #[test]
        fn any_text_fits_into_its_lines(text in "(?s).{0,80}", width in 1.0_f32..300.0, most in 1_usize..4) {
            let face = Face::bundled();
            let lines = face.wrap(&text, width, 16.0, most);
            prop_assert!(lines.len() <= most);
            for line in &lines {
                // A place narrower than one character gets that character, which is cut where it is drawn.
                let is_one = line.chars().nth(1).is_none();
                prop_assert!(is_one || face.width(line, 16.0) <= width || line.ends_with(CUT), "{}", line);
                face.draw(line, 16.0, (0.0, 0.0), &mut |_| ());
            }
        }
    }
}
