//! A shop's products as JSON: `product_data.json`, an array or lines, and `styles/<id>.json` as Fashion Product Images has
//! them.
//!
//! There is no one form of it. A product has an id, names of pictures and a description under one of several names; all of
//! its plain values are columns.

use std::path::Path;

use serde_json::{Map, Value};

use super::html::text_of_html;
use super::imagefolder::{set_value, text_of};
use super::lines::{self, LineReader};
use super::pictures::Pictures;
use super::{Place, Reader, not_of_kind};
use crate::dataset::problem::ProblemKind;
use crate::dataset::rows::{Dataset, Row};
use crate::domain::{Result, UserError};

/// The row of this form.
pub static READER: Reader = Reader {
    name: "product-json",
    label: "product JSON",
    looks_like: "product_data.json with ids, descriptions and names of pictures, or styles/<id>.json",
    recognise: |place| find(place).is_some() || has_styles(place),
    read,
};

/// Names under which a product has its pictures: one name, or an array of them.
const PICTURES: [&str; 12] = [
    "file_name",
    "filename",
    "image",
    "images",
    "image_name",
    "image_names",
    "image_path",
    "image_paths",
    "picture",
    "pictures",
    "photo",
    "photos",
];
/// Names under which a product has its description, the best first.
const CAPTIONS: [&str; 8] =
    ["text", "caption", "description", "product_description", "productDescription", "prompt", "title", "name"];
/// Names under which a product has its id.
const IDS: [&str; 4] = ["id", "product_id", "productId", "sku"];
/// Where pictures are.
const FOLDERS: [&str; 3] = ["", "images", "pictures"];
/// The folder of one file a product.
const STYLES: &str = "styles";
/// What is taken of such a file below `data`: the column, and the way to its value.
const STYLE_COLUMNS: [(&str, &str); 10] = [
    ("gender", "/gender"),
    ("masterCategory", "/masterCategory/typeName"),
    ("subCategory", "/subCategory/typeName"),
    ("articleType", "/articleType/typeName"),
    ("baseColour", "/baseColour"),
    ("season", "/season"),
    ("year", "/year"),
    ("usage", "/usage"),
    ("productDisplayName", "/productDisplayName"),
    ("description", "/productDescriptors/description/value"),
];
/// The largest table that is read, in bytes.
const MAX_TABLE_BYTES: u64 = 512 << 20;
/// The largest file of one product.
const MAX_STYLE_BYTES: u64 = 4 << 20;
/// How deep values in values become columns (`price.value`).
const MAX_DEPTH: usize = 3;

fn find(place: &Place) -> Option<&Path> {
    place.table(&["product_data.json", "products.json"], |_, head| {
        let names = |names: &[&str]| names.iter().any(|name| head.contains(&format!("\"{name}\"")));
        head.trim_start().starts_with(['[', '{']) && (names(&PICTURES) || names(&IDS) && names(&CAPTIONS))
    })
}

fn has_styles(place: &Place) -> bool {
    place.folders.iter().any(|folder| folder == STYLES)
        && std::fs::read_dir(place.root.join(STYLES))
            .is_ok_and(|entries| entries.flatten().any(|entry| entry.path().extension().is_some_and(|e| e == "json")))
}

/// One product on its way: where it is from, and its values.
struct Product {
    line: Option<u64>,
    /// For messages: "product 3".
    what: String,
    values: Map<String, Value>,
}

fn read(place: &Place) -> Result<Dataset> {
    let table = find(place).map(Path::to_path_buf);
    if table.is_none() && !has_styles(place) {
        return Err(not_of_kind(&READER, place));
    }
    let (mut dataset, pictures) = place.begin(&READER, table.as_deref())?;
    let products = match &table {
        Some(table) => products_of_table(&mut dataset, table)?,
        None => products_of_styles(&mut dataset)?,
    };
    dataset.columns.push("id".to_owned());
    for product in products {
        take(&mut dataset, &pictures, product, table.is_some());
    }
    Ok(dataset.finish(&pictures, Vec::new()))
}

/// The products of a file: an array, an array within an object, an object of objects by id, or lines.
fn products_of_table(dataset: &mut Dataset, table: &Path) -> Result<Vec<Product>> {
    let text = lines::whole(table, MAX_TABLE_BYTES)?;
    let entries = match serde_json::from_str(&text) {
        Ok(Value::Array(entries)) => entries,
        Ok(Value::Object(object)) => entries_of(object),
        Ok(_) => return Err(UserError::input("This file holds no products").path(table)),
        Err(error) if text.trim_start().starts_with('[') => {
            return Err(UserError::input(format!("This file is no JSON: {error}"))
                .hint("mend the file in that line, or write one product a line")
                .path(table));
        }
        Err(_) => return products_of_lines(dataset, table),
    };
    let mut products = Vec::new();
    for (number, entry) in (1..).zip(entries) {
        dataset.rows_read += 1;
        let what = format!("product {number}");
        match entry {
            Value::Object(values) => products.push(Product { line: None, what, values }),
            _ => dataset.problem(ProblemKind::SkippedRow, None, table, format!("{what} is no JSON object")),
        }
    }
    Ok(products)
}

/// The products within an object.
fn entries_of(object: Map<String, Value>) -> Vec<Value> {
    let is_product = PICTURES.iter().chain(&CAPTIONS).any(|name| object.contains_key(*name));
    if is_product {
        return vec![Value::Object(object)];
    }
    if let Some(entries) = object.values().find_map(Value::as_array) {
        return entries.clone();
    }
    let with_id = |(id, value): (String, Value)| match value {
        Value::Object(mut values) => {
            values.entry("id").or_insert(Value::String(id));
            Value::Object(values)
        }
        other => other,
    };
    object.into_iter().map(with_id).collect()
}

fn products_of_lines(dataset: &mut Dataset, table: &Path) -> Result<Vec<Product>> {
    let mut lines = LineReader::open(table)?;
    let mut products = Vec::new();
    while let Some(line) = lines.next_line()? {
        if line.text.trim().is_empty() {
            continue;
        }
        dataset.rows_read += 1;
        match serde_json::from_str(&line.text) {
            Ok(Value::Object(values)) => {
                products.push(Product { line: Some(line.number), what: format!("line {}", line.number), values });
            }
            _ => lines.report(ProblemKind::SkippedRow, line.number, "the line is no JSON object".to_owned()),
        }
    }
    dataset.problems.append(&mut lines.problems);
    Ok(products)
}

fn products_of_styles(dataset: &mut Dataset) -> Result<Vec<Product>> {
    let folder = dataset.root.join(STYLES);
    let entries = std::fs::read_dir(&folder).map_err(|error| lines::unreadable(&folder, &error))?;
    let mut ids: Vec<String> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "json"))
        .filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()))
        .collect();
    // Numbers in the order of numbers.
    ids.sort_by_key(|id| (id.len(), id.clone()));
    let mut products = Vec::new();
    for id in ids {
        dataset.rows_read += 1;
        match style(&folder.join(format!("{id}.json"))) {
            Ok(mut values) => {
                values.insert("id".to_owned(), Value::String(id.clone()));
                products.push(Product { line: None, what: format!("product {id}"), values });
            }
            Err(error) => {
                dataset.problem(ProblemKind::SkippedRow, None, &folder.join(format!("{id}.json")), error.sentence);
            }
        }
    }
    Ok(products)
}

/// What `styles/<id>.json` says of a product.
fn style(path: &Path) -> Result<Map<String, Value>> {
    let text = lines::whole(path, MAX_STYLE_BYTES)?;
    let value: Value = serde_json::from_str(&text)
        .map_err(|error| UserError::input(format!("This file is no JSON: {error}")).path(path))?;
    let data = value.get("data").unwrap_or(&value);
    let columns = STYLE_COLUMNS.iter().filter_map(|(column, way)| {
        let value = data.pointer(way).map(text_of)?;
        Some(((*column).to_owned(), Value::String(value)))
    });
    Ok(columns.collect())
}

/// Takes a product in: one row a picture.
fn take(dataset: &mut Dataset, pictures: &Pictures, mut product: Product, has_table: bool) {
    let id = IDS.iter().find_map(|name| product.values.get(*name)).map(text_of).unwrap_or_default();
    if has_table && let Ok(safe) = crate::domain::safe_path(&id) {
        let path = dataset.root.join(STYLES).join(format!("{safe}.json"));
        if path.is_file() {
            match style(&path) {
                // What the table says counts.
                Ok(values) => {
                    for (name, value) in values {
                        product.values.entry(name).or_insert(value);
                    }
                }
                Err(error) => dataset.problem(ProblemKind::SkippedRow, None, &path, error.sentence),
            }
        }
    }
    let mut names: Vec<String> = Vec::new();
    for key in PICTURES {
        if let Some(value) = product.values.remove(key) {
            collect_names(&value, &mut names);
        }
    }
    if names.is_empty() && !id.is_empty() {
        let found = pictures.find_stem(&["images", "", "pictures"], &id);
        names.push(found.map_or_else(|| format!("images/{id}.jpg"), |(name, _)| name));
    }
    if names.is_empty() {
        let table = dataset.table.clone().unwrap_or_else(|| dataset.root.clone());
        let sentence = format!("{} has neither an id nor a picture", product.what);
        dataset.problem(ProblemKind::SkippedRow, product.line, &table, sentence);
        return;
    }
    let caption = CAPTIONS.iter().find_map(|name| {
        let text = text_of_html(&text_of(product.values.get(*name)?));
        Some(text).filter(|text| !text.is_empty())
    });
    let caption = caption.or_else(|| product.values.get("productDisplayName").map(text_of));
    let mut values = vec![String::new(); dataset.columns.len()];
    values[0] = id;
    product.values.retain(|name, _| !IDS.contains(&name.as_str()));
    flatten(&mut dataset.columns, &mut values, "", &product.values, 0);
    for name in names {
        let (caption, values) = (caption.clone(), values.clone());
        let row = Row {
            picture: None,
            name: String::new(),
            caption,
            values,
            repeats: 1,
            line: product.line,
            is_excluded: false,
        };
        dataset.push_named(pictures, &FOLDERS, &name, row);
    }
}

/// The names in a value: a string, an array of them, or objects that have one.
fn collect_names(value: &Value, names: &mut Vec<String>) {
    match value {
        Value::String(name) if !name.trim().is_empty() => names.push(name.clone()),
        Value::Array(values) => {
            for value in values {
                collect_names(value, names);
            }
        }
        Value::Object(object) => {
            let keys = ["file_name", "filename", "path", "name", "url"];
            if let Some(name) = keys.iter().find_map(|key| object.get(*key)?.as_str()) {
                names.push(name.to_owned());
            }
        }
        _ => {}
    }
}

/// Plain values as columns, those in objects by names such as `price.value`.
fn flatten(
    columns: &mut Vec<String>,
    values: &mut Vec<String>,
    before: &str,
    object: &Map<String, Value>,
    depth: usize,
) {
    for (name, value) in object {
        let name = format!("{before}{name}");
        match value {
            Value::Object(inner) if depth < MAX_DEPTH => {
                flatten(columns, values, &format!("{name}."), inner, depth + 1);
            }
            Value::Object(_) | Value::Null => {}
            plain => {
                set_value(columns, values, &name, text_of_html(&text_of(plain)));
            }
        }
    }
}
