package main

// The words that names are made of. All of them are made up, and so is every
// company and person; domains are below .example, which nobody can own.

var (
	companyFronts = []string{"Amber", "Birch", "Brindle", "Cinder", "Copper", "Dapple", "Ember", "Fennel", "Flint", "Garnet",
		"Gorse", "Hazel", "Heron", "Indigo", "Juniper", "Kestrel", "Larch", "Linden", "Maple", "Marrow", "Nettle", "Ochre",
		"Otter", "Pebble", "Plover", "Quill", "Rowan", "Saffron", "Sorrel", "Tansy", "Thistle", "Umber", "Velvet", "Willow"}
	companyBacks = []string{"beam", "bourne", "crest", "dock", "fold", "forge", "gate", "haven", "kiln", "loom", "mere", "mill",
		"moor", "path", "quay", "reach", "spire", "stead", "thorpe", "vale", "wick", "works"}
	givenNames = []string{"Adair", "Anouk", "Beren", "Calla", "Corin", "Daria", "Edlyn", "Emeric", "Fenna", "Galen", "Hollis",
		"Ilse", "Jorin", "Kaia", "Lorne", "Maren", "Neris", "Odell", "Perrin", "Quilla", "Runa", "Soren", "Tamsin", "Ulla",
		"Viggo", "Wren", "Yara", "Zane"}
	familyFronts = []string{"Ald", "Bram", "Cald", "Dun", "Elm", "Fair", "Gris", "Holl", "Ing", "Kett", "Lang", "Mar", "Nor",
		"Oak", "Pell", "Rav", "Stan", "Thorn", "Wex", "Yar"}
	familyBacks = []string{"bury", "combe", "croft", "erby", "field", "grove", "holm", "ington", "ley", "mond", "ness", "shaw",
		"stow", "wright"}
	cities = []string{"Port Calder", "Ashmere", "Northwick Falls", "Eastholm", "Brackenridge", "Saltmarsh", "New Fennel", "Glasswater"}
)

// industry is a line of business, and what its companies call themselves.
type industry struct {
	name  string
	kinds []string
}

var (
	industries = []industry{
		{"Logistics", []string{"Logistics", "Freight", "Cargo"}},
		{"Software", []string{"Software", "Systems", "Labs"}},
		{"Retail", []string{"Outfitters", "Stores", "Provisions"}},
		{"Healthcare", []string{"Health", "Clinics", "Care"}},
		{"Manufacturing", []string{"Tooling", "Fabrication", "Components"}},
		{"Financial services", []string{"Capital", "Mutual", "Ledgers"}},
		{"Education", []string{"Learning", "Academy", "Courses"}},
		{"Media", []string{"Press", "Studios", "Broadcast"}},
	}
	regions   = []string{"Americas", "Americas", "EMEA", "EMEA", "APAC"}
	countries = map[string][]string{"Americas": {"USA", "USA", "Canada", "Brazil"}, "EMEA": {"Germany", "France", "Netherlands", "Sweden"},
		"APAC": {"Japan", "Australia", "Singapore"}}
	sources  = []string{"Website", "Website", "Referral", "Partner", "Conference", "Outbound"}
	useCases = []string{"Reporting", "Onboarding", "Forecasting", "Compliance", "Field operations"}

	titles = []string{"Head of Operations", "Operations Manager", "Director of Finance", "IT Manager", "Analyst", "Team Lead",
		"Product Manager", "Vice President of Operations"}
	departments = []string{"Operations", "Finance", "IT", "Sales", "Product"}
	roles       = []string{"Decision Maker", "Champion", "Approver", "Buyer"}
	personas    = []string{"Executive sponsor", "Champion", "Administrator", "Economic buyer"}

	churnReasons = []string{"Price: the budget was cut", "Moved to a competitor", "Low adoption: the team never took to it",
		"Missing feature: no offline mode", "Company was acquired", "Champion left the company", "Payment failed"}

	ticketSubjects = map[string][]string{
		"problem":  {"Dashboard does not load", "Export ends with an error", "Scheduled report was not sent", "Filters are lost after a reload"},
		"question": {"How do we share a report with a partner?", "Where do we change the billing contact?", "Can roles be assigned by group?"},
		"incident": {"Single sign-on is down for our users", "Data import has been stuck since this morning", "Slow pages for everybody in the office"},
		"task":     {"Please add ten seats", "Please move us to another region", "Enable the sandbox for our developers"},
	}
	ticketTypes = []string{"problem", "problem", "question", "question", "question", "incident", "task"}

	promoterComments  = []string{"Saves us a day a week.", "Support answers before we have finished our coffee.", "I have already told two friends about it.", "The new reports are what we had hoped for."}
	passiveComments   = []string{"Does what it should.", "Good, but setting it up took long.", "Useful; the mobile version lags behind."}
	detractorComments = []string{"Too many clicks for simple things.", "We wait too long for answers.", "The price went up and we got nothing for it.", "Pages are slow at the end of the month."}
)

// rep is one of the people who look after the accounts.
type rep struct{ first, last, email string }

func staff(first, last, mailbox string) rep { return rep{first, last, mailbox + "@example.com"} }

var (
	csms = []rep{staff("Ida", "Larkholm", "ida.larkholm"), staff("Bo", "Wexcombe", "bo.wexcombe"), staff("Noor", "Pellgrove", "noor.pellgrove"),
		staff("Theo", "Ravness", "theo.ravness"), staff("Mina", "Oakshaw", "mina.oakshaw"), staff("Lou", "Fairstow", "lou.fairstow")}
	salesReps = []rep{staff("Cleo", "Thornley", "cleo.thornley"), staff("Rafe", "Elmington", "rafe.elmington"), staff("Juno", "Marfield", "juno.marfield")}
	agents    = []rep{staff("Sid", "Kettwright", "support.sid"), staff("Pia", "Norcroft", "support.pia"), staff("Max", "Yarbury", "support.max")}
)
