package matching

import "strings"

// maxForm is of how many words a legal form consists at most.
const maxForm = 6

// legalForms has the kinds of the legal forms of companies.
var legalForms = kinds(legalLists)

// legalLists are the legal forms of companies: those on a line are of one kind, which
// is called as the first of them. They are written as words are after folding: without
// dots and stop words, and letters that stand alone together ("S. A." is "sa").
var legalLists = []string{
	// English
	"inc, incorporated, corp, corporation, co inc, company inc",
	"co, company, cos, companies",
	"ltd, limited, co ltd, company limited, co limited, company ltd, ltd co",
	"llc, limited liability company, ltd liability company, ltd liability co, lc",
	"llp, limited liability partnership",
	"lp, limited partnership",
	"lllp",
	"plc, public limited company, public ltd co",
	"pllc",
	"pc, professional corporation",
	"cic, community interest company",
	"pty ltd, pty limited, proprietary limited, pty",
	"pvt ltd, private limited, pvt limited, private ltd, p ltd, pvt, pte ltd, pte limited, pte",
	"bhd, berhad",
	"sdn bhd, sendirian berhad",
	"ulc, unlimited company",
	"dac, designated activity company",
	"clg",
	// German
	"gmbh, mbh, gesellschaft mit beschrankter haftung, ges mbh, gesmbh, ggmbh",
	"gmbh co kg, gmbh co kgaa, ag co kg, ug co kg, gmbh cokg, gmbh co ohg, gmbh kg",
	"ag, aktiengesellschaft",
	"kg, kommanditgesellschaft, co kg",
	"kgaa",
	"ohg, offene handelsgesellschaft",
	"ug, unternehmergesellschaft, ug haftungsbeschrankt",
	"ek, eingetragener kaufmann, e kfm, ekfr",
	"ev, eingetragener verein",
	"eg, eingetragene genossenschaft",
	"gbr",
	"se, societas europaea",
	// French, Belgian, Luxembourgish, Swiss
	"sarl, societe a responsabilite limitee, societe responsabilite limitee, eurl",
	"sas, sasu, societe par actions simplifiee",
	"sca",
	"scs",
	"snc",
	"scop",
	"sprl, bvba, srl bv",
	"asbl, vzw",
	// Romance
	"sa, societe anonyme, sociedad anonima, sociedade anonima",
	"spa, societa per azioni",
	"srl, srls, societa responsabilita limitata, societate raspundere limitata",
	"sl, slu, sociedad limitada, sociedad responsabilidad limitada",
	"sau",
	"sa cv, sab cv, sapi cv",
	"s rl cv, srl cv",
	"ltda, limitada, lda, eireli",
	"s en c",
	// Dutch
	"bv, besloten vennootschap",
	"nv, naamloze vennootschap",
	"cv",
	"vof",
	"stichting",
	// Nordic
	"ab, aktiebolag, publ, ab publ",
	"hb, handelsbolag",
	"as, aksjeselskap, aktieselskab",
	"asa",
	"aps, anpartsselskab",
	"interessentskab",
	"oy, osakeyhtio, oy ab",
	"oyj, oyj abp, abp",
	"kommandiittiyhtio",
	"ehf",
	"hf",
	"ou, osauhing",
	"sia",
	"uab",
	// Central and eastern Europe
	"spzoo, sp zoo, spolka zoo, spolka z ograniczona odpowiedzialnoscia, sp z oo",
	"spk, sp k, sp zoo sp k, sp zoo spk",
	"sro, spol sro, spolecnost s rucenim omezenym",
	"akc spol, akciova spolecnost",
	"kft, korlatolt felelossegu tarsasag",
	"zrt",
	"nyrt",
	"bt",
	"doo, drustvo s ogranicenom odgovornoscu",
	"dd",
	"ad",
	"eood",
	"ood",
	"ooo, obshchestvo s ogranichennoy otvetstvennostyu",
	"oao, pao",
	"zao",
	"ao",
	"tov",
	// Greece and Turkey
	"anonimi eteria",
	"epe",
	"ike",
	"anonim sirketi, sanayi ve ticaret as, san tic as, san ve tic as",
	"ltd sti, limited sirketi, san tic ltd sti, san ve tic ltd sti",
	// Asia, the Middle East, Africa
	"kk, kabushiki kaisha, kabushikigaisha, kabushiki gaisha",
	"gk, godo kaisha",
	"yk, yugen kaisha",
	"tbk, persero",
	"jsc, joint stock company, pjsc, cjsc, ojsc",
	"fze, fzco, fzc, fz llc",
	"wll",
	"sal",
	"saoc, saog",
}

// legalPrefixes may stand before a name too.
var legalPrefixes = set("pt, ooo, oao, zao, pao, ao, tov, ab, sia, uab, sarl, sas, eurl, stichting, vof, firma, gk, kk, yk, oy")

// hanForms are legal forms that are written without spaces, before they are
// transliterated: as the words that then stand for them.
var hanForms = strings.NewReplacer("株式会社", " kk ", "(株)", " kk ", "㈱", " kk ", "有限会社", " yk ", "(有)", " yk ", "合同会社", " gk ",
	"股份有限公司", " co ltd ", "有限责任公司", " co ltd ", "有限公司", " co ltd ", "주식회사", " kk ", "(주)", " kk ", "㈜", " kk ")

// stopWords tell nothing, and may be missing.
var stopWords = set("the, and, und, et, og, och, of, de, del, della, di, da, do, du, des, der, die, das, den, la, le, les, el, los, las, " +
	"for, fur, van, von, dba, fka, aka, formerly, formerly known as, trading")

// generic are words that many companies have in their names: they count little even
// where few of ours have them.
var generic = set("group, gruppe, groupe, grupo, gruppo, holding, holdings, international, intl, global, worldwide, services, service, solutions, solution, " +
	"systems, system, technologies, technology, tech, consulting, consultants, partners, partner, associates, management, enterprises, enterprise, " +
	"industries, industry, industrial, industrie, software, digital, media, marketing, design, trading, logistics, ventures, capital, " +
	"company, corporation, corp, agency, studio, studios, labs, lab, network, networks, products, foundation, institute, " +
	"usa, us, uk, eu, emea, apac, america, americas, europe, europa, asia, north, south, east, west, " +
	"germany, deutschland, france, italia, italy, spain, espana, netherlands, nederland, belgium, austria, switzerland, schweiz, suisse, sweden, norway, " +
	"denmark, finland, poland, ireland, canada, mexico, brasil, brazil, india, china, japan, singapore, australia")

// publicMail are the names of domains that say nothing of whose they are.
var publicMail = set("gmail, googlemail, outlook, hotmail, live, msn, yahoo, ymail, icloud, me, aol, gmx, web, t-online, mail, yandex, qq, 163, 126, proton, protonmail, " +
	"zoho, comcast, orange, wanadoo, free, libero, linkedin, facebook, instagram, twitter, x, github, wordpress, wixsite, myshopify, blogspot, example, localhost")

// streetWords are the short forms of words of streets.
var streetWords = map[string]string{"street": "st", "road": "rd", "avenue": "ave", "av": "ave", "boulevard": "blvd", "drive": "dr", "lane": "ln", "square": "sq",
	"suite": "ste", "floor": "fl", "north": "n", "south": "s", "east": "e", "west": "w", "strasse": "str", "platz": "pl", "place": "pl"}

func set(list string) map[string]bool {
	all := map[string]bool{}
	for text := range strings.SplitSeq(list, ", ") {
		all[text] = true
	}
	return all
}

// kinds returns the kind of each form: the first of its list.
func kinds(lists []string) map[string]string {
	all := map[string]string{}
	for _, list := range lists {
		kind, _, _ := strings.Cut(list, ", ")
		for form := range set(list) {
			all[form] = kind
		}
	}
	return all
}
