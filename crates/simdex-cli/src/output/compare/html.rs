//! A comparison as one page that needs nothing else: a plot and a table.

use simdex::compare::{Comparison, Point, Trial};

use super::plot::{self, Line, Spot, escape};
use super::{label, list, picks, rate, text};
use crate::output::table::Align;

/// The page. `title` says what was compared.
pub(crate) fn page(title: &str, comparison: &Comparison) -> String {
    let title = escape(title);
    let single = plot::svg(
        "recall against the speed of single queries",
        comparison.k,
        &lines(comparison, |point| point.queries_per_second),
    );
    let batch = plot::svg(
        "recall against the speed of queries in one call",
        comparison.k,
        &lines(comparison, |point| point.batch_queries_per_second),
    );
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>simdex compare {title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n\
         <h1>simdex compare {title}</h1>\n<p>{}</p>\n{}\
         <div class=\"plots\">\n\
         <figure>\n<figcaption>One query at a time</figcaption>\n{single}</figure>\n\
         <figure>\n<figcaption>All queries in one call</figcaption>\n{batch}</figure>\n\
         </div>\n{}{}<p class=\"note\">{NOTE}</p>\n</body>\n</html>\n",
        escape(&text::sentence(comparison)),
        notices(comparison),
        legend(comparison),
        table(comparison),
    )
}

const NOTE: &str = "Recall is the share of the true nearest rows that a search returned; rows that \
tie with the last of them count. Times include the exact scores of the results. Size is that of \
the structure beside the vectors; peak memory is that of the process, vectors included. Up and to \
the right is better.";

const STYLE: &str = include_str!("page.css");

fn lines(comparison: &Comparison, speed: impl Fn(&Point) -> f64) -> Vec<Line> {
    let line = |trial: &Trial| {
        let spot = |point: &Point| {
            let speed = speed(point);
            let about = format!(
                "{}, recall {:.4}, {}/s",
                list(&point.parameters),
                point.recall,
                rate(speed)
            );
            Spot { recall: point.recall, speed, about }
        };
        Line { name: label(trial), points: trial.points.iter().map(spot).collect() }
    };
    comparison.trials.iter().map(line).collect()
}

fn legend(comparison: &Comparison) -> String {
    let entries = comparison.trials.iter().enumerate().map(|(number, trial)| {
        format!("<li>{} {}</li>\n", plot::sample(number), escape(&label(trial)))
    });
    format!("<ul class=\"legend\">\n{}</ul>\n", entries.collect::<String>())
}

fn notices(comparison: &Comparison) -> String {
    let notices = comparison.notices.iter().cloned().chain(picks(comparison));
    notices.map(|notice| format!("<p class=\"note\">{}</p>\n", escape(&notice))).collect()
}

fn table(comparison: &Comparison) -> String {
    let (names, aligns): (Vec<_>, Vec<_>) = text::columns().unzip();
    let head = row("th", &aligns, names.into_iter());
    let rows = text::cells(comparison);
    let rows = rows.iter().map(|cells| row("td", &aligns, cells.iter().map(String::as_str)));
    format!(
        "<div class=\"scroll\">\n<table>\n<thead>\n{head}</thead>\n<tbody>\n{}</tbody>\n\
         </table>\n</div>\n",
        rows.collect::<String>()
    )
}

fn row<'a>(tag: &str, aligns: &[Align], cells: impl Iterator<Item = &'a str>) -> String {
    let cell = |(text, align): (&str, &Align)| match align {
        Align::Left => format!("<{tag}>{}</{tag}>", escape(text)),
        Align::Right => format!("<{tag} class=\"number\">{}</{tag}>", escape(text)),
    };
    format!("<tr>{}</tr>\n", cells.zip(aligns).map(cell).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::super::samples::comparison;
    use super::*;

    #[test]
    fn names_cant_break_the_page() {
        let page = page("a<script>", &comparison());
        assert!(page.contains("a&lt;script&gt;") && page.contains("&lt;a &amp; b&gt; (curve)"));
        assert!(!page.contains("<script") && !page.contains("<a &"), "{page}");
        assert!(page.contains("picked x: &lt;it&gt; fits"), "{page}");
    }

    #[test]
    fn everything_is_on_the_page() {
        let page = page("posts", &comparison());
        assert_eq!(page.matches("<figure>").count(), 2);
        assert_eq!(
            page.matches("<title>").count(),
            1 + 2 * 3,
            "the page's and a tip for each point"
        );
        assert_eq!(page.matches("<li>").count(), 2);
        assert_eq!(page.matches("<tr>").count(), 1 + 3);
        for outside in ["http", "src=", "@import", "url("] {
            assert!(!page.contains(outside), "the page needs {outside}");
        }
    }
}
