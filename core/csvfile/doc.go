// Package csvfile is the CSV file of a resource family: its template, what
// dialect a file is written in, its rows as records, and the file of the rows
// that were rejected.
package csvfile
