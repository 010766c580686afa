//! Recall against speed as an SVG drawing: recall to the right, queries per second upwards (log).

use std::fmt::Write as _;

/// The drawing's size and the room around the axes, in its own units.
const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 420.0;
const LEFT: f64 = 76.0;
const RIGHT: f64 = 20.0;
const TOP: f64 = 16.0;
const BOTTOM: f64 = 52.0;

/// How many colours and marks the page's style has.
pub(super) const STYLES: usize = 8;

/// One line of a plot: what it is called, and its points.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) name: String,
    pub(super) points: Vec<Spot>,
}

/// A point of a line, and what is said of it when the pointer rests on it.
#[derive(Debug)]
pub(super) struct Spot {
    pub(super) recall: f64,
    pub(super) speed: f64,
    pub(super) about: String,
}

/// The drawing. `name` tells those who can't see it what it is.
pub(super) fn svg(name: &str, k: usize, lines: &[Line]) -> String {
    let spots = || lines.iter().flat_map(|line| &line.points);
    let axes = Axes::around(spots());
    let mut svg = format!(
        "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\">\n",
        escape(name)
    );
    axes.draw(k, &mut svg);
    for (number, line) in lines.iter().enumerate() {
        draw(line, number, &axes, &mut svg);
    }
    svg += "</svg>\n";
    svg
}

/// A mark as it stands beside a name in the legend.
pub(super) fn sample(number: usize) -> String {
    let mark = mark(number, 14.0, 8.0);
    format!(
        "<svg class=\"sample\" viewBox=\"0 0 28 16\" aria-hidden=\"true\">\
         <g class=\"s{}\"><path class=\"line\" d=\"M0 8H28\"/>{mark}</g></svg>",
        number % STYLES
    )
}

/// Text as HTML and SVG hold it.
pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// What is shown: recall from `low` to 1, speed between two powers of ten.
struct Axes {
    low: f64,
    bottom: f64,
    top: f64,
}

impl Axes {
    fn around<'a>(spots: impl Iterator<Item = &'a Spot>) -> Self {
        let (mut low, mut bottom, mut top) = (1.0_f64, f64::INFINITY, f64::NEG_INFINITY);
        for spot in spots {
            low = low.min(spot.recall);
            bottom = bottom.min(spot.speed.log10());
            top = top.max(spot.speed.log10());
        }
        if !(bottom.is_finite() && top.is_finite()) {
            (bottom, top) = (0.0, 1.0);
        }
        // A margin, so that no mark sits on a corner.
        let (bottom, top) = ((bottom - 0.05).floor(), (top + 0.05).ceil());
        let step = Self::step(low);
        Self { low: ((low / step - 0.2).floor() * step).clamp(0.0, 0.9), bottom, top }
    }

    /// The distance of ticks that suits recalls from `low` to 1.
    fn step(low: f64) -> f64 {
        match 1.0 - low {
            range if range <= 0.11 => 0.02,
            range if range <= 0.3 => 0.05,
            range if range <= 0.6 => 0.1,
            _ => 0.2,
        }
    }

    fn x(&self, recall: f64) -> f64 {
        LEFT + (recall - self.low) / (1.0 - self.low) * (WIDTH - LEFT - RIGHT - 10.0)
    }

    fn y(&self, speed: f64) -> f64 {
        let share = (speed.log10() - self.bottom) / (self.top - self.bottom);
        HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)
    }

    fn draw(&self, k: usize, svg: &mut String) {
        let (right, floor) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
        *svg += "<g class=\"grid\">\n";
        let mut texts = String::new();
        let step = Self::step(self.low);
        let ticks = ((1.0 - self.low) / step).round() as usize;
        for tick in 0..=ticks {
            let recall = 1.0 - tick as f64 * step;
            let x = self.x(recall);
            put(svg, format_args!("<path d=\"M{x:.1} {TOP}V{floor}\"/>"));
            let y = floor + 18.0;
            put(&mut texts, format_args!("<text x=\"{x:.1}\" y=\"{y}\">{recall:.2}</text>"));
        }
        for decade in self.bottom as i32..=self.top as i32 {
            for digit in [1.0, 2.0, 5.0] {
                let speed = digit * 10_f64.powi(decade);
                if speed.log10() > self.top + 1e-9 {
                    continue;
                }
                let y = self.y(speed);
                put(svg, format_args!("<path d=\"M{LEFT} {y:.1}H{right}\"/>"));
                let (x, y, speed) = (LEFT - 8.0, y + 4.0, short(speed));
                let text =
                    format_args!("<text class=\"end\" x=\"{x}\" y=\"{y:.1}\">{speed}</text>");
                put(&mut texts, text);
            }
        }
        *svg += "</g>\n";
        *svg += &texts;
        let (x, y) = ((LEFT + right) / 2.0, HEIGHT - 10.0);
        put(svg, format_args!("<text class=\"axis\" x=\"{x}\" y=\"{y}\">recall@{k}</text>"));
        let (x, y) = (16.0, (TOP + floor) / 2.0);
        let turn = format_args!("transform=\"rotate(-90 {x} {y})\"");
        let text = "queries per second, log scale; higher is faster";
        put(svg, format_args!("<text class=\"axis\" x=\"{x}\" y=\"{y}\" {turn}>{text}</text>"));
    }
}

fn draw(line: &Line, number: usize, axes: &Axes, svg: &mut String) {
    put(svg, format_args!("<g class=\"s{}\">", number % STYLES));
    let mut sorted: Vec<_> = line.points.iter().collect();
    sorted.sort_by(|a, b| a.recall.total_cmp(&b.recall).then(b.speed.total_cmp(&a.speed)));
    let mut path = String::new();
    for (at, spot) in sorted.iter().enumerate() {
        let command = if at == 0 { 'M' } else { 'L' };
        let _ = write!(path, "{command}{:.1} {:.1}", axes.x(spot.recall), axes.y(spot.speed));
    }
    put(svg, format_args!("<path class=\"line\" d=\"{path}\"/>"));
    for spot in sorted {
        let mark = mark(number, axes.x(spot.recall), axes.y(spot.speed));
        let (name, about) = (escape(&line.name), escape(&spot.about));
        put(svg, format_args!("<g>{mark}<title>{name}: {about}</title></g>"));
    }
    *svg += "</g>\n";
}

/// The mark of line `number`: colours alone don't tell lines apart for everyone.
fn mark(number: usize, x: f64, y: f64) -> String {
    let path = match number % 4 {
        0 => return format!("<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4.5\"/>"),
        1 => "m-4.5 -4.5h9v9h-9z",
        2 => "m0 -5.5l5.5 9.5h-11z",
        _ => "m0 -6l6 6l-6 6l-6 -6z",
    };
    format!("<path d=\"M{x:.1} {y:.1}{path}\"/>")
}

/// A number of an axis: `500`, `2k`, `10M`.
fn short(number: f64) -> String {
    match number {
        n if n >= 1e6 => format!("{:.0}M", n / 1e6),
        n if n >= 1e3 => format!("{:.0}k", n / 1e3),
        n if n >= 1.0 => format!("{n:.0}"),
        n => format!("{n}"),
    }
}

fn put(text: &mut String, line: std::fmt::Arguments<'_>) {
    // Writing to a String can't fail.
    let _ = writeln!(text, "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spot(recall: f64, speed: f64) -> Spot {
        Spot { recall, speed, about: String::new() }
    }

    #[test]
    fn every_point_is_inside_the_axes() {
        for (recall, speed) in [(1.0, 1e5), (0.0, 0.004), (0.5, 1.0), (0.93, 7.3e6), (0.99, 999.9)]
        {
            let spots = [spot(recall, speed), spot(1.0, 100.0)];
            let axes = Axes::around(spots.iter());
            for spot in &spots {
                let (x, y) = (axes.x(spot.recall), axes.y(spot.speed));
                assert!((LEFT..=WIDTH - RIGHT).contains(&x), "{recall} {speed}: {x}");
                assert!((TOP..=HEIGHT - BOTTOM).contains(&y), "{recall} {speed}: {y}");
            }
        }
    }

    #[test]
    fn numbers_of_the_axis_are_short() {
        assert_eq!([0.5, 1.0, 500.0, 2e3, 1e7].map(short), ["0.5", "1", "500", "2k", "10M"]);
    }
}
