package revenue_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"tenure/core/revenue"
)

func TestMRR(t *testing.T) {
	for _, c := range []struct {
		what   string
		prices []string // of subscriptions in force
		want   int64
	}{
		{"no subscription", nil, 0},
		{"a month", []string{"1234/1month"}, 1234},
		{"three months", []string{"300/3month"}, 100},
		{"a year", []string{"1200/1year"}, 100},
		{"two years", []string{"2400/2year"}, 100},
		{"a year of days", []string{"1200/365day"}, 100},
		{"a day is 12/365 of a month", []string{"12/1day"}, 365},
		{"thirty days are a little less than a month", []string{"1000/30day"}, 1014},
		{"forty-five of them", []string{"818019/45day"}, 552920},
		{"half a cent goes away from zero", []string{"1/2month"}, 1},
		{"also below it", []string{"-1/2month"}, -1},
		{"one and a half", []string{"3/2month"}, 2},
		{"minus one and a half", []string{"-3/2month"}, -2},
		{"less than half goes to zero", []string{"5/1year"}, 0},
		{"rounded once, not each", []string{"1/3month", "1/3month", "1/3month"}, 1},
		{"halves cancel", []string{"1/2month", "-1/2month"}, 0},
		{"days and years add up to half a cent exactly", []string{"365/365day", "1/1year"}, 31},
		{"and to a whole one", []string{"365/365day", "1/1year", "1/3month", "1/6month"}, 31},
		{"negative revenue counts", []string{"500/1month", "-200/1month"}, 300},
		{"the largest", []string{"9223372036854775807/1month"}, math.MaxInt64},
		{"the smallest", []string{"-9223372036854775808/1month"}, math.MinInt64},
		{"beyond the largest", []string{"9223372036854775807/1day"}, math.MaxInt64},
		{"beyond the smallest", []string{"-9223372036854775808/1day"}, math.MinInt64},
		{"what exceeds the limits may come back", []string{"9223372036854775807/1day", "-9223372036854775807/1day", "7/1month"}, 7},
		{"long cycles", []string{"9223372036854775807/9223372036854775807month", "9223372036854775783/9223372036854775783month"}, 2},
	} {
		var subs []revenue.Subscription
		for _, p := range c.prices {
			subs = append(subs, account(apply(t, nil, "revenue 0.. "+p))...)
		}
		if got := revenue.MRR(subs, 0); got != c.want {
			t.Errorf("%s: %d, want %d", c.what, got, c.want)
		}
	}

	subs := account(apply(t, nil, "revenue 0.. 100", "end 10"), apply(t, nil, "revenue 5.. 10"))
	for at, want := range map[string]int64{"-1": 0, "0": 100, "4.9": 100, "5": 110, "9.9": 110, "10": 10, "99": 10} {
		if got := revenue.MRR(subs, instant(at, 0)); got != want {
			t.Errorf("at %s: %d, want %d", at, got, want)
		}
	}
}

func TestMovements(t *testing.T) {
	for _, c := range []struct {
		what      string
		histories [][]string
		want      string
	}{
		{"no subscription", nil, ""},
		{"new revenue", [][]string{{"revenue 0.. 100"}}, "0 new 0+100=100 a"},
		{"more and less", [][]string{{"revenue 0.. 100", "revenue 5.. 300", "revenue 10.. 200"}},
			"0 new 0+100=100 a; 5 expansion 100+200=300 a; 10 contraction 300-100=200 a"},
		{"an end", [][]string{{"revenue 0.. 100", "end 10"}}, "0 new 0+100=100 a; 10 churn 100-100=0 a"},
		{"a term that runs out", [][]string{{"revenue 0..10 100"}}, "0 new 0+100=100 a; 10 churn 100-100=0 a"},
		{"a fall to zero", [][]string{{"revenue 0.. 100", "revenue 10.. 0"}}, "0 new 0+100=100 a; 10 churn 100-100=0 a"},
		{"a fall below zero", [][]string{{"revenue 0.. 100", "revenue 10.. -5"}}, "0 new 0+100=100 a; 10 churn 100-105=-5 a"},
		{"revenue that comes back is not new", [][]string{{"revenue 0.. 100", "end 10", "revenue 20.. 100"}},
			"0 new 0+100=100 a; 10 churn 100-100=0 a; 20 expansion 0+100=100 a"},
		{"a free start is none", [][]string{{"revenue 0.. 0", "revenue 10.. 100"}}, "10 new 0+100=100 a"},
		{"a refund is not new revenue", [][]string{{"revenue 0.. -100", "revenue 10.. -50", "revenue 20.. 0", "revenue 30.. 7"}},
			"0 contraction 0-100=-100 a; 10 expansion -100+50=-50 a; 20 expansion -50+50=0 a; 30 new 0+7=7 a"},
		{"an end that a restart makes up for", [][]string{{"revenue 0.. 100", "end 10", "revenue 10.. 100"}}, "0 new 0+100=100 a"},
		{"an end that a restart makes up for in part", [][]string{{"revenue 0.. 100", "end 10", "revenue 10.. 60"}},
			"0 new 0+100=100 a; 10 contraction 100-40=60 a"},
		{"a second subscription is an expansion", [][]string{{"revenue 0.. 100"}, {"revenue 5.. 10"}},
			"0 new 0+100=100 a; 5 expansion 100+10=110 b"},
		{"two at once are one movement", [][]string{{"revenue 0.. 100", "revenue 5.. 150"}, {"revenue 0.. 10", "revenue 5.. 20"}},
			"0 new 0+110=110 a,b; 5 expansion 110+60=170 a,b"},
		{"one ends as another grows: the net counts", [][]string{{"revenue 0.. 100", "end 5"}, {"revenue 0.. 10", "revenue 5.. 300"}},
			"0 new 0+110=110 a,b; 5 expansion 110+190=300 a,b"},
		{"or shrinks", [][]string{{"revenue 0.. 100", "end 5"}, {"revenue 0.. 10", "revenue 5.. 30"}},
			"0 new 0+110=110 a,b; 5 churn 110-80=30 a,b"},
		{"or makes up for it", [][]string{{"revenue 0.. 100", "end 5"}, {"revenue 0.. 10", "revenue 5.. 110"}}, "0 new 0+110=110 a,b"},
		{"a free one ends as another shrinks", [][]string{{"revenue 0.. 0", "end 5"}, {"revenue 0.. 100", "revenue 5.. 30"}},
			"0 new 0+100=100 b; 5 churn 100-70=30 b"},
		{"a change of nothing but the date", [][]string{{"revenue 0.. 100 due=30", "renewal 30.. 100"}}, "0 new 0+100=100 a"},
		{"the total is rounded, not the parts", [][]string{{"revenue 0.. 1/3month"}, {"revenue 1.. 1/3month"}, {"revenue 2.. 1/3month"}},
			"1 new 0+1=1 b"},
		{"from one limit to beyond the other in steps", [][]string{{"revenue 0.. -9223372036854775808", "revenue 5.. 9223372036854775807/1day"}},
			"0 contraction 0-9223372036854775808=-9223372036854775808 a; 5 expansion -9223372036854775808+9223372036854775807=-1 a; " +
				"5 new -1+9223372036854775807=9223372036854775806 a; 5 expansion 9223372036854775806+1=9223372036854775807 a"},
		{"and back", [][]string{{"revenue 0.. 9223372036854775807", "revenue 5.. -9223372036854775808"}},
			"0 new 0+9223372036854775807=9223372036854775807 a; 5 churn 9223372036854775807-9223372036854775808=-1 a; " +
				"5 churn -1-9223372036854775807=-9223372036854775808 a"},
		{"the largest fall that is told at once", [][]string{{"revenue 0.. 1", "revenue 5.. -9223372036854775807"}},
			"0 new 0+1=1 a; 5 churn 1-9223372036854775808=-9223372036854775807 a"},
	} {
		var histories []revenue.History
		for _, events := range c.histories {
			histories = append(histories, apply(t, nil, events...))
		}
		// In any order of the subscriptions.
		for _, subs := range [][]revenue.Subscription{account(histories...), backwards(account(histories...))} {
			var got []string
			for _, m := range revenue.Movements(subs) {
				got = append(got, fmt.Sprintf("%s %s %d%+d=%d %s", days(m.Date), m.Type, m.Before, m.Amount, m.After,
					strings.Join(m.Subscriptions, ",")))
			}
			if got := strings.Join(got, "; "); got != c.want {
				t.Errorf("%s:\n got  %s\n want %s", c.what, got, c.want)
			}
		}
	}
}

func backwards(subs []revenue.Subscription) []revenue.Subscription {
	slices.Reverse(subs)
	return subs
}

// BenchmarkMovements is the ledger of an account of 10 subscriptions with 100
// segments each; awkward has as many lengths of cycles as segments.
func BenchmarkMovements(b *testing.B) {
	for _, lengths := range []int64{4, 1 << 40} {
		subs := make([]revenue.Subscription, 10)
		for i := range subs {
			subs[i].ID = fmt.Sprint(i)
			for j := range int64(100) {
				h, err := subs[i].History.Apply(revenue.Event{Start: (j*10 + int64(i)) * day, End: revenue.Open,
					Revenue: 1000 + j*7%13, Unit: revenue.Unit(j % 3), Length: 1 + (j*10+int64(i))*982451653%lengths}, 0)
				if err != nil {
					b.Fatal(err)
				}
				subs[i].History = h
			}
		}
		b.Run(map[bool]string{true: "usual", false: "awkward"}[lengths < 100], func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if len(revenue.Movements(subs)) == 0 {
					b.Fatal("nothing moved")
				}
			}
		})
	}
}
