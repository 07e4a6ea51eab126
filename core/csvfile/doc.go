// Package csvfile is the CSV file of a resource family: its template, the
// dialect a file is written in, its rows as records, and the file of the rows
// that were rejected. All of it follows from the family's declaration.
//
// # Columns
//
// A column is named as the field: account_id. Case does not matter, and spaces
// or hyphens may stand for underscores. Lists have columns for each entry,
// numbered from 1: documents[1].name, documents[1].url, documents[2].name; an
// entry whose cells are all empty is left out. Custom dimensions have a column
// for each key, whose case does matter: custom_label_dimensions.favorite fruit.
// More rows with the same id merge in the order given, as records of the API do,
// so that a long list may also be given by many rows.
//
// # Rows
//
// The first row is the header. A row whose first cell is "#", or begins with "# ",
// is a comment and ignored; so are rows in which every cell is empty. Cells that
// a row lacks at its end are empty. A row may have more cells than the header,
// and a column may have no name, as long as those cells are empty: that is what
// spreadsheets leave behind. Columns called rejected_row, rejected_message,
// rejected_code and rejected_field are ignored, so that a file of rejected rows
// can be mended and uploaded again.
//
// # Cells
//
//   - An empty cell, or one of nothing but spaces, does not give the field: what
//     is stored stays.
//   - \N gives null, which clears the field (or deletes the entry, as the url of
//     a document). The text \N itself is written \\N, and so on.
//   - Text is taken as it stands, line ends within a cell as \n. An apostrophe
//     before = + - @, a tab, a line end or the beginning of a comment is taken off,
//     since it is how such text is kept from being active (see Neutralise).
//   - Ids are text: leading zeros stay. One such as 1.23457E+11 is refused, because
//     that is what a spreadsheet leaves of a long number.
//   - Numbers have a decimal point and nothing else: no thousands separators, no
//     decimal comma, no currency sign. 1E+05 is good for a whole number, but from
//     1E+11 on digits may have been lost, so it is refused. So is 1.000, which may
//     be a thousand.
//   - Booleans are true or false, yes or no, 1 or 0, in any case.
//   - Instants are epoch ms, or ISO 8601 with the offset from UTC if it is another:
//     2024-03-01, 2024-03-01 10:00, 2024-03-01T10:00:00.5Z, 2024-03-01T10:00+02:00.
//     What is finer than a millisecond is cut off. Numbers so small that they are
//     more likely seconds, or days of a spreadsheet, are refused.
//   - Error values of spreadsheets, such as #N/A, are refused.
package csvfile
