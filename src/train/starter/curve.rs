//! A training's loss over its steps, as a drawing (SVG).

use std::fmt::Write as _;
use std::path::Path;

use serde_json::Value;

use crate::domain::{Result, UserError};

/// Width and height of the drawing.
const SIZE: (f64, f64) = (720.0, 260.0);
/// Room at the left, right, top and bottom of the curves.
const MARGINS: (f64, f64, f64, f64) = (56.0, 12.0, 12.0, 32.0);
/// Steps that are averaged: single losses are mostly noise.
const WINDOW: usize = 25;

/// The losses of a training's log, step by step.
///
/// # Errors
/// When the file cannot be read.
pub fn logged_losses(log: &Path) -> Result<Vec<f64>> {
    let text = std::fs::read_to_string(log)
        .map_err(|error| UserError::failed(format!("Could not read the training's log: {error}")).path(log))?;
    let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    Ok(lines.filter_map(|line| line["loss"].as_f64()).collect())
}

/// The mean of the last [`WINDOW`] losses at each step.
fn averaged(losses: &[f64]) -> Vec<f64> {
    (1..=losses.len())
        .map(|end| {
            let part = &losses[end.saturating_sub(WINDOW)..end];
            part.iter().sum::<f64>() / part.len() as f64
        })
        .collect()
}

/// The loss of each step in grey, and its running mean.
#[must_use]
pub fn loss_curve(losses: &[f64]) -> String {
    let (width, height) = SIZE;
    let (left, right, top, bottom) = MARGINS;
    let means = averaged(losses);
    // The steps in which the mean is not yet one say nothing of the height that is needed.
    let highest = 1.6 * means.iter().skip(WINDOW.min(means.len() / 2)).copied().fold(0.0, f64::max).max(1e-9);
    let steps = losses.len().max(2) as f64;
    let x = |step: f64| left + (width - left - right) * (step - 1.0) / (steps - 1.0);
    let y = |loss: f64| top + (height - top - bottom) * (1.0 - loss.min(highest) / highest);
    let line = |values: &[f64]| {
        values.iter().enumerate().fold(String::new(), |mut points, (i, value)| {
            // Writing to a text cannot fail.
            let _ = write!(points, "{:.1},{:.1} ", x(i as f64 + 1.0), y(*value));
            points
        })
    };
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" \
         font-size=\"12\" fill=\"#777\"><title>Loss over the steps of a training</title>\n"
    );
    for part in 0..=4 {
        let (loss, step) = (highest * f64::from(part) / 4.0, 1.0 + (steps - 1.0) * f64::from(part) / 4.0);
        let (row, column) = (y(loss), x(step));
        let anchor = ["start", "middle", "middle", "middle", "end"][part as usize];
        let _ = writeln!(
            svg,
            "<path d=\"M{left} {row:.1}H{:.1}\" stroke=\"#999\" stroke-opacity=\"0.3\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{loss:.3}</text>\
             <text x=\"{column:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\">{step:.0}</text>",
            width - right,
            left - 6.0,
            row + 4.0,
            height - 12.0,
        );
    }
    let _ = writeln!(
        svg,
        "<polyline points=\"{}\" fill=\"none\" stroke=\"#999\" stroke-opacity=\"0.45\"/>\n\
         <polyline points=\"{}\" fill=\"none\" stroke=\"#c2571a\" stroke-width=\"2\"/>\n</svg>",
        line(losses),
        line(&means)
    );
    svg
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_are_of_the_steps_before() {
        let losses: Vec<f64> = (0..100).map(f64::from).collect();
        let means = averaged(&losses);
        assert_eq!((means[0], means[1], means[99]), (0.0, 0.5, 87.0));
    }

    #[test]
    fn every_step_has_its_place_within_the_drawing() {
        let losses = [0.5, 9.0, 0.25, 0.125];
        let svg = loss_curve(&losses);
        let points = svg.split("points=\"").nth(1).unwrap().split('"').next().unwrap();
        let points: Vec<(f64, f64)> = points
            .split_whitespace()
            .map(|point| point.split_once(',').unwrap())
            .map(|(x, y)| (x.parse().unwrap(), y.parse().unwrap()))
            .collect();
        assert_eq!(points.len(), losses.len());
        assert!(points.is_sorted_by(|a, b| a.0 < b.0));
        assert!(points.iter().all(|(x, y)| (0.0..=SIZE.0).contains(x) && (0.0..=SIZE.1).contains(y)));
        // Lower losses lie lower.
        assert!(points[3].1 > points[2].1 && points[2].1 > points[0].1);
        assert!(loss_curve(&[]).ends_with("</svg>\n"));
    }
}
