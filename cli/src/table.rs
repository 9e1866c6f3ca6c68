//! Tables for people: columns that fit the terminal, without lines.

use comfy_table::{Cell, ContentArrangement, Row, Table, presets};

/// A table with this header and these rows.
pub(crate) fn render<R>(header: R, rows: impl IntoIterator<Item = R>) -> String
where
    R: IntoIterator,
    R::Item: Into<Cell>,
{
    let row = |cells: R| cells.into_iter().map(Into::into).collect::<Vec<Cell>>();
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_header(Row::from(row(header)))
        .add_rows(rows.into_iter().map(|cells| Row::from(row(cells))));
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.trim_fmt() + "\n"
}
