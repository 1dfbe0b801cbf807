//! The picture of a run.

use std::path::Path;

use anyhow::Result;
use plotters::prelude::*;

use crate::series::Series;

const SIZE: (u32, u32) = (900, 640);

/// Memory above, files below.
pub(crate) fn draw(series: &Series, file: &Path) -> Result<()> {
    let area = SVGBackend::new(file, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    let (above, below) = area.split_vertically(SIZE.1 / 2);
    let mib = |name: &str, unit: f64| -> Result<Vec<f64>> {
        let values = series.column(name)?;
        Ok(values
            .into_iter()
            .map(|value| value as f64 / unit)
            .collect())
    };
    let millions = mib("messages", 1e6)?;
    let memory = [
        ("ann", mib("ann_anon_kib", 1024.0)?),
        ("bob", mib("bob_anon_kib", 1024.0)?),
        ("relay", mib("relay_anon_kib", 1024.0)?),
        ("signal-server", mib("signal_anon_kib", 1024.0)?),
    ];
    let mib_of_bytes = 1024.0 * 1024.0;
    let files = [
        ("database of ann", mib("ann_db_bytes", mib_of_bytes)?),
        ("database of bob", mib("bob_db_bytes", mib_of_bytes)?),
        (
            "database of the relay",
            mib("relay_db_bytes", mib_of_bytes)?,
        ),
    ];
    chart(
        &above,
        "memory of their own (RssAnon), MiB",
        &millions,
        &memory,
    )?;
    chart(&below, "files on the disk, MiB", &millions, &files)?;
    area.present()?;
    Ok(())
}

fn chart(
    area: &DrawingArea<SVGBackend<'_>, plotters::coord::Shift>,
    title: &str,
    x: &[f64],
    lines: &[(&str, Vec<f64>)],
) -> Result<()> {
    let most = lines
        .iter()
        .flat_map(|(_, values)| values)
        .fold(0.0, |most: f64, &value| most.max(value));
    let mut chart = ChartBuilder::on(area)
        .margin(12)
        .caption(title, ("sans-serif", 16))
        .x_label_area_size(36)
        .y_label_area_size(56)
        .build_cartesian_2d(0.0..x.last().copied().unwrap_or(1.0), 0.0..most * 1.1)?;
    chart
        .configure_mesh()
        .max_light_lines(0)
        .x_desc("messages, millions")
        .draw()?;
    for (number, (name, values)) in lines.iter().enumerate() {
        let style = Palette99::pick(number).stroke_width(2);
        let points = x.iter().copied().zip(values.iter().copied());
        chart
            .draw_series(LineSeries::new(points, style))?
            .label(*name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], style));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::MiddleRight)
        .background_style(WHITE.mix(0.8))
        .draw()?;
    Ok(())
}
