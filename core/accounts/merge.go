package accounts

import (
	"slices"

	"tenure/core"
	"tenure/core/resource"
	"tenure/core/schema"
)

// merge lays a patch over an account.
func merge(c resource.Change) (schema.Record, *core.Failure) {
	patch := slices.Clone(c.Patch)
	if failure := preparePatchStages(patch); failure != nil {
		return nil, failure
	}
	newStage := patch[stage]
	patch[stage] = nil
	var replace []int
	if c.Option(OverwriteCSMs) {
		replace = append(replace, csms)
	}
	r, failure := declaration.Merge(c.Old, patch, replace...)
	if failure != nil {
		return nil, failure
	}
	if newStage.Given() {
		r[stageHistory] = startStage(stages.Entries(r[stageHistory]), newStage, c.Now)
		setCurrentStage(r)
	} else if patch[stageHistory].Given() {
		r[stageHistory] = closeOlderStages(stages.Entries(r[stageHistory]), patch[stageHistory])
		setCurrentStage(r)
	}
	mergeInactivity(r, c)
	return r, nil
}

// preparePatchStages checks what a patch says of stages, and makes a missing
// end_date in it the null that it stands for.
func preparePatchStages(patch schema.Record) *core.Failure {
	if !patch[stageHistory].Given() {
		return nil
	}
	if patch[stage].Given() {
		return &core.Failure{Code: core.Conflicting, Field: "stage",
			Message: "'stage' and 'stage_history' must not be given together"}
	}
	entries := stages.Entries(patch[stageHistory])
	open := 0
	for _, s := range entries {
		switch {
		case s[stageEnd].IsNull():
			s[stageEnd] = schema.Null
			open++
		case s[stageEnd].Int() < s[stageFrom].Int():
			return &core.Failure{Code: core.OutOfRange, Field: "stage_history.end_date",
				Message: "'stage_history.end_date' must not be before 'stage_history.start_date'"}
		}
	}
	if open > 1 {
		return &core.Failure{Code: core.Conflicting, Field: "stage_history.end_date",
			Message: "'stage_history.end_date' is left out of more than one entry: only one stage can be the current one"}
	}
	if len(entries) > 0 {
		patch[stageHistory] = stages.PatchOf(entries)
	}
	return nil
}

// openStage returns the position of the last open stage, or -1.
func openStage(history []schema.Record) int {
	for i := len(history) - 1; i >= 0; i-- {
		if history[i][stageEnd].IsNull() {
			return i
		}
	}
	return -1
}

// startStage closes the open stage now and opens the one called name (null:
// none), unless it is the open one already (contract A3).
func startStage(history []schema.Record, name schema.Value, now int64) schema.Value {
	open := openStage(history)
	if open >= 0 {
		if history[open][stageName].Text() == name.Text() {
			return stages.ListOf(history)
		}
		history[open][stageEnd] = schema.Int(max(now, history[open][stageFrom].Int()))
	}
	if name.IsNull() {
		return stages.ListOf(history)
	}
	started := stages.NewRecord()
	started[stageName], started[stageFrom] = name, schema.Int(now)
	return stages.Insert(history, started)
}

// closeOlderStages leaves one stage open: of two, the newer one closes the
// older one at its start, whichever of them was posted first (contract A3,
// Q15). Of two that start together, the one just posted stays.
func closeOlderStages(history []schema.Record, posted schema.Value) schema.Value {
	justPosted := ""
	for _, s := range stages.Entries(posted) {
		if s[stageEnd].IsNull() {
			justPosted = s[stageName].Text()
		}
	}
	last := openStage(history)
	for i := last - 1; i >= 0; i-- {
		s := history[i]
		if !s[stageEnd].IsNull() {
			continue
		}
		if s[stageFrom].Int() == history[last][stageFrom].Int() && s[stageName].Text() == justPosted {
			history[last][stageEnd] = s[stageFrom]
			last = i
			continue
		}
		s[stageEnd] = history[last][stageFrom]
	}
	return stages.ListOf(history)
}

// setCurrentStage derives current_stage from the stage history.
func setCurrentStage(r schema.Record) {
	r[currentStage] = nil
	history := stages.Entries(r[stageHistory])
	if open := openStage(history); open >= 0 {
		r[currentStage] = history[open][stageName]
	}
}

// mergeInactivity derives inactive_time and inactive_reason from the flags of
// the merged record (contract A2, Q13).
func mergeInactivity(r schema.Record, c resource.Change) {
	if !r[isDeleted].True() && !r[isChurned].True() {
		r[inactiveTime], r[reason] = nil, nil
		return
	}
	if r[inactiveTime].IsNull() {
		r[inactiveTime] = schema.Int(c.Now)
		if c.Old != nil && c.Old[inactiveTime].Given() {
			r[inactiveTime] = c.Old[inactiveTime] // null asks for the default, not for a new time
		}
	}
}
