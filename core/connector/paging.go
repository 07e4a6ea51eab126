package connector

import "fmt"

// PageNumbers is the paging of lists whose pages are numbered from 1 and hold size
// records but for the last one.
func PageNumbers(size int) Paging {
	return Paging{Next: fmt.Sprintf("if $count < %d then null else ($page // 1) + 1 end", size)}
}

// LinkHeader is the paging of lists whose answers name the next page in the header
// Link (RFC 8288).
func LinkHeader() Paging { return Paging{Next: "$links.next", Follow: true} }

// NextLink is the paging of lists whose answers name the next page's URL or path:
// an expression over the body.
func NextLink(path string) Paging { return Paging{Next: path, Follow: true} }

// NextToken is the paging of lists whose answers hold what asks for the next page:
// an expression over the body.
func NextToken(path string) Paging { return Paging{Next: path} }

// AfterLast is the paging of lists that go on behind a record: id is an expression
// over the last one, more one over the body, true if there is more.
func AfterLast(id, more string) Paging {
	return Paging{Next: fmt.Sprintf("if (%s) and $count > 0 then ($last | %s) else null end", more, id)}
}
