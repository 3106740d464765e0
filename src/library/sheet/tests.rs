//! Tests of sheets: nothing lies on anything else, pictures keep their pixels, what is missing is marked.

use proptest::prelude::*;

use super::*;
use crate::domain::GenerateRequest;
use crate::domain::grid::{Axis, Field};
use crate::library::image_io::MAX_SIDE_PX;
use crate::library::{Paths, PictureStore};

fn axis(field: &str, values: &str) -> Axis {
    Axis::read(Field::of_name(field).unwrap(), values).unwrap()
}

fn axes_of(x: &str, y: Option<&str>, z: Option<&str>) -> Axes {
    let named = |text: &str| Axis::read_named(text).unwrap();
    Axes { x: named(x), y: y.map(named), z: z.map(named) }
}

fn plain(width_px: u32, height_px: u32, colour: [u8; 3]) -> Arc<Picture> {
    let [red, green, blue] = colour;
    let rgba = [red, green, blue, 255].repeat((width_px * height_px) as usize);
    Arc::new(Picture { width_px, height_px, rgba })
}

fn pixel(picture: &Picture, x: u32, y: u32) -> [u8; 3] {
    let at = 4 * (y * picture.width_px + x) as usize;
    [picture.rgba[at], picture.rgba[at + 1], picture.rgba[at + 2]]
}

fn lies_in(area: Area, layout: &Layout) -> bool {
    area.x + area.width <= layout.width_px && area.y + area.height <= layout.height_px
}

fn overlap(a: Area, b: Area) -> bool {
    a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height
}

#[test]
fn pictures_lie_where_they_belong_and_keep_their_pixels() {
    let axes = axes_of("guidance=1,4,7", Some("steps=10,20"), Some("seed=1,2"));
    let colour = |cell: usize| [cell as u8 * 20, 100, 200 - cell as u8 * 10];
    let cells: Vec<SheetCell> = (0..12).map(|cell| SheetCell::Memory(plain(96, 48, colour(cell)))).collect();
    let layout = Layout::new(&axes, (96, 48), &Face::bundled());
    let sheet = compose(&axes, &cells).unwrap();
    assert_eq!((sheet.width_px, sheet.height_px), (layout.width_px, layout.height_px));
    for cell in 0..12 {
        let Area { x, y, width, height } = layout.cell(cell);
        assert_eq!((width, height), (96, 48));
        for (x, y) in [(x, y), (x + 95, y), (x, y + 47), (x + 95, y + 47), (x + 48, y + 24)] {
            assert_eq!(pixel(&sheet, x, y), colour(cell), "cell {cell}");
        }
    }
    // From left to right, then down, then from page to page.
    let at = |cell| layout.cell(cell);
    assert!(at(0).x < at(1).x && at(1).x < at(2).x && at(0).y == at(2).y);
    assert!(at(3).y > at(0).y && at(3).x == at(0).x);
    assert!(at(6).y > at(5).y || at(6).x > at(5).x);
    // Three columns in each of two blocks, two rows, two titles.
    assert_eq!(layout.labels.len(), 2 * (3 + 2 + 1));
    let text: Vec<String> = layout.labels.iter().map(|label| label.lines.join(" ")).collect();
    for expected in ["Guidance 7", "Steps 20", "Seed 2"] {
        assert!(text.iter().any(|text| text == expected), "{text:?} lacks {expected}");
    }
    let paper = pixel(&sheet, 0, 0);
    assert_eq!(paper, PAPER);
    let inked = |area: Area| {
        (area.y..area.y + area.height)
            .flat_map(|y| (area.x..area.x + area.width).map(move |x| (x, y)))
            .any(|(x, y)| pixel(&sheet, x, y) != PAPER)
    };
    assert!(layout.labels.iter().all(|label| inked(label.area)), "every label leaves ink");
}

#[test]
fn smaller_pictures_stand_in_the_middle_as_large_as_they_are() {
    let axes = axes_of("size=64x64,32x32", None, None);
    let cells = [plain(64, 64, [1, 2, 3]), plain(32, 32, [4, 5, 6])].map(SheetCell::Memory);
    let sheet = compose(&axes, &cells).unwrap();
    let layout = Layout::new(&axes, (64, 64), &Face::bundled());
    let Area { x, y, .. } = layout.cell(1);
    assert_eq!(pixel(&sheet, x + 16, y + 16), [4, 5, 6]);
    assert_eq!(pixel(&sheet, x + 47, y + 47), [4, 5, 6]);
    assert_eq!(pixel(&sheet, x + 15, y + 32), PAPER);
}

#[test]
fn what_is_missing_is_marked_and_the_sheet_is_made_all_the_same() {
    let axes = axes_of("guidance=1,4,7,9", None, None);
    let cells = [
        SheetCell::Memory(plain(64, 64, [9, 9, 9])),
        SheetCell::Blank("Stopped".to_owned()),
        SheetCell::File("/nowhere/at/all.png".into()),
    ];
    let sheet = compose(&axes, &cells).unwrap();
    let layout = Layout::new(&axes, (64, 64), &Face::bundled());
    for cell in 1..4 {
        let Area { x, y, .. } = layout.cell(cell);
        assert_eq!(pixel(&sheet, x + 32, y + 4), BLANK, "cell {cell}");
        assert_eq!(pixel(&sheet, x, y), CROSS, "cell {cell}");
    }
    let none = compose(&axes, &cells[1..]).unwrap_err();
    assert!(none.sentence.contains("None of the pictures"), "{none}");
}

#[test]
fn a_sheet_that_would_be_too_large_is_made_of_smaller_pictures() {
    let axes = axes_of("seed=1-20", Some("steps=1-20"), None);
    let layout = Layout::new(&axes, (2048, 2048), &Face::bundled());
    assert!(layout.scale < 0.5 && layout.scale > 0.05, "{}", layout.scale);
    assert!(u64::from(layout.width_px) * u64::from(layout.height_px) <= 64 << 20);
    let long = axes_of("seed=1-500", None, None);
    let layout = Layout::new(&long, (512, 512), &Face::bundled());
    assert!(layout.width_px <= MAX_SIDE_PX);
    let picture = plain(512, 512, [7, 8, 9]);
    let mut canvas = Canvas::new(100, 100);
    canvas.place(Area { x: 10, y: 10, width: 32, height: 32 }, picture, 32.0 / 512.0);
    let canvas = canvas.into_picture();
    assert_eq!((pixel(&canvas, 9, 9), pixel(&canvas, 10, 10), pixel(&canvas, 42, 42)), (PAPER, [7, 8, 9], PAPER));
}

#[test]
fn a_sheet_is_saved_with_its_grid_inside_and_listed() {
    let home = tempfile::tempdir().unwrap();
    let mut store = PictureStore::new(Paths::below(home.path()));
    let axes = axes_of("prompt_sr=red,\"blue, navy\"", Some("guidance=1,4"), None);
    let recipe = Recipe {
        request: GenerateRequest { prompt: "a red dress".into(), ..GenerateRequest::default() },
        model_name: "Starter".into(),
        model_hash: "0123456789".into(),
        version: "Atelier 0.1.0".into(),
        elapsed_secs: 4.0,
        safety: None,
        grid: Some(Box::new(axes.clone())),
        ..Recipe::default()
    };
    let order = SheetOrder {
        cells: vec![SheetCell::Memory(plain(8, 8, [1, 1, 1])); 4],
        recipe: recipe.clone(),
        pictures_dir: home.path().join("elsewhere"),
    };
    let made = make(&order, &mut store).unwrap();
    let entry = made.saved.unwrap();
    assert!(entry.path.starts_with(home.path().join("elsewhere")));
    let name = entry.path.file_name().unwrap().to_string_lossy().into_owned();
    assert!(name.ends_with("-0-grid-a-red-dress.png"), "{name}");
    assert_eq!((entry.width_px, entry.height_px), (made.picture.width_px, made.picture.height_px));
    assert_eq!(entry.recipe.as_ref(), Some(&recipe));
    let embedded = read_info(&entry.path).unwrap().embedded;
    assert_eq!(embedded.recipe(), Some(recipe));
    // As stable-diffusion-webui's script writes it.
    let text = embedded.parameters.unwrap();
    let expected = "Script: X/Y/Z plot, X Type: Prompt S/R, X Values: \"red, \\\"blue, navy\\\"\", \
                    Y Type: CFG Scale, Y Values: \"1, 4\"";
    assert!(text.contains(expected), "{text}");
}

proptest! {
    #[test]
    fn nothing_lies_on_anything_else(
        columns in 1_usize..6, rows in 1_usize..6, pages in 1_usize..5, width in 8_u32..400, height in 8_u32..400,
        words in "[a-z ]{1,60}",
    ) {
        let steps = |field, count: usize| axis(field, &format!("1-{count}"));
        let texts: Vec<String> = (0..rows).map(|row| format!("\"{words}{row}\"")).collect();
        let axes = Axes {
            x: steps("seed", columns),
            y: (rows > 1).then(|| axis("prompt", &texts.join(","))),
            z: (pages > 1).then(|| steps("steps", pages)),
        };
        let layout = Layout::new(&axes, (width, height), &Face::bundled());
        let cells = (0..axes.cells()).map(|cell| layout.cell(cell));
        let all: Vec<Area> = cells.chain(layout.labels.iter().map(|label| label.area)).collect();
        for (at, area) in all.iter().enumerate() {
            prop_assert!(lies_in(*area, &layout), "{:?} of {}x{}", area, layout.width_px, layout.height_px);
            for other in &all[..at] {
                prop_assert!(!overlap(*area, *other), "{:?} on {:?}", area, other);
            }
        }
    }
}
