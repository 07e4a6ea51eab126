package console

func home(s *server, r *request) (view, error) {
	return view{template: "home", title: "Home", data: struct{}{}}, nil
}
