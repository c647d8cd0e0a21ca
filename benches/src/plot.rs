//! Bar charts with a logarithmic scale, as SVG for light and dark pages.

/// Bars with one label.
#[derive(Debug)]
pub struct Group {
    /// Label.
    pub label: String,
    /// Bars: name, index of the colour, and value.
    pub bars: Vec<(String, usize, f64)>,
}

/// Distinguishable on white and on black, and to the colour-blind (Okabe and Ito, and two more).
const COLOURS: [&str; 10] =
    ["#0072b2", "#56b4e9", "#009e73", "#d55e00", "#e69f00", "#cc79a7", "#8c8c8c", "#b2912f", "#7a68a6", "#a65628"];
const WIDTH: f64 = 760.0;
const LEFT: f64 = 190.0;
const RIGHT: f64 = 90.0;
const BAR: f64 = 16.0;
const TOP: f64 = 34.0;
/// Height of a group's label.
const HEAD: f64 = 26.0;

/// Draws a bar chart, or `None` without bars; `readable` formats a value with its unit.
pub fn bars(title: &str, groups: &[Group], readable: impl Fn(f64) -> String) -> Option<String> {
    if groups.iter().all(|group| group.bars.is_empty()) {
        return None;
    }
    let values = || groups.iter().flat_map(|group| group.bars.iter().map(|(.., value)| *value));
    // Full decades, with a margin so that the shortest bar is visible.
    let low = (values().fold(f64::INFINITY, f64::min) / 1.5).log10().floor();
    let high = values().fold(0.0, f64::max).log10().ceil().max(low + 1.0);
    let x = |value: f64| LEFT + (value.log10() - low) / (high - low) * (WIDTH - LEFT - RIGHT);
    let rows: usize = groups.iter().map(|group| group.bars.len()).sum();
    let bottom = TOP + groups.len() as f64 * HEAD + rows as f64 * BAR + 6.0;
    let height = bottom + 20.0;

    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" viewBox=\"0 0 {WIDTH} {height}\" \
         role=\"img\" aria-label=\"{title}\">\n<style>\n\
         text {{ font: 12px system-ui, sans-serif; fill: #24292f }}\n\
         .title {{ font-size: 14px; font-weight: 600 }}\n.group {{ font-weight: 600 }}\n\
         line {{ stroke: #8c959f; stroke-opacity: .35 }}\n\
         @media (prefers-color-scheme: dark) {{ text {{ fill: #d0d7de }} }}\n</style>\n"
    );
    let mut put = |line: String| {
        svg.push_str(&line);
        svg.push('\n');
    };
    put(format!("<text class=\"title\" x=\"0\" y=\"16\">{}</text>", escaped(title)));
    for decade in low as i32..=high as i32 {
        let value = 10f64.powi(decade);
        let at = x(value);
        put(format!("<line x1=\"{at:.1}\" y1=\"{TOP}\" x2=\"{at:.1}\" y2=\"{bottom}\"/>"));
        put(format!("<text x=\"{at:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>", bottom + 15.0, readable(value)));
    }
    let mut y = TOP;
    for group in groups {
        y += HEAD;
        put(format!("<text class=\"group\" x=\"0\" y=\"{}\">{}</text>", y - 7.0, escaped(&group.label)));
        for (name, colour, value) in &group.bars {
            let (end, colour) = (x(*value), COLOURS[colour % COLOURS.len()]);
            let (width, thick, base) = (end - LEFT, BAR - 3.0, y + BAR - 5.0);
            put(format!("<text x=\"{}\" y=\"{base}\" text-anchor=\"end\">{}</text>", LEFT - 6.0, escaped(name)));
            put(format!(
                "<rect x=\"{LEFT}\" y=\"{y}\" width=\"{width:.1}\" height=\"{thick}\" rx=\"2\" fill=\"{colour}\"/>"
            ));
            put(format!("<text x=\"{:.1}\" y=\"{base}\">{}</text>", end + 5.0, readable(*value)));
            y += BAR;
        }
    }
    svg.push_str("</svg>\n");
    Some(svg)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenfold_value_is_a_decade_longer() {
        let bar = |value| ("it".to_owned(), 0, value);
        let groups = [Group { label: "g".into(), bars: vec![bar(1.0), bar(10.0)] }];
        let svg = bars("a < b", &groups, |value| value.to_string()).unwrap_or_default();
        let widths: Vec<f64> = svg
            .lines()
            .filter_map(|line| line.strip_prefix("<rect")?.split("width=\"").nth(1)?.split('"').next()?.parse().ok())
            .collect();
        assert_eq!(widths, [240.0, 480.0]);
        assert!(svg.contains("a &lt; b"));
    }
}
