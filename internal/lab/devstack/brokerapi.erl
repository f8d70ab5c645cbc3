%% The two calls of RabbitMQ's HTTP API that tests need, PUT and DELETE
%% /api/vhosts/{name}, and the two that it does not have, PUT and DELETE
%% /api/memory-alarm, and of a cluster GET /api/running, how many nodes this one
%% sees, GET /api/leaders, and PUT and DELETE /api/partition, which cut it off from all others and let
%% it reach them again: two nodes with different cookies do not connect. Served by the broker itself on loopback. The management
%% plugin would serve them too, but makes every start some five seconds longer.
spawn(fun() ->
  Port = list_to_integer(os:getenv("PAYONCE_BROKER_API_PORT")),
  User = list_to_binary(os:getenv("PAYONCE_BROKER_API_USER")),
  Expected = "Basic " ++ os:getenv("PAYONCE_BROKER_API_AUTH"),
  Nodes = fun(Now, Once) -> %% its name now, and in RabbitMQ 3.10
    try rabbit_nodes:Now() catch error:undef -> rabbit_nodes:Once() end
  end,
  %% A client that still declares queues while they are deleted ends, with one crash, what
  %% dead-letters at least once for the whole broker: from then on every such queue of any
  %% virtual host is lost (rabbitmq-server 16652). So all clients go first, and none comes in.
  Left = fun Again(VHost, Looks) ->
    case [Pid || [{pid, Pid}, {vhost, V}] <- rabbit_networking:connection_info_all([pid, vhost]), V =:= VHost] of
      [] -> ok;
      _ when Looks =:= 0 -> ok;
      Pids ->
        [catch rabbit_networking:close_connection(Pid, "its virtual host is deleted") || Pid <- Pids],
        timer:sleep(50),
        Again(VHost, Looks - 1)
    end
  end,
  Do = fun
    ('PUT', "/api/vhosts/" ++ Name) ->
      VHost = list_to_binary(Name),
      ok = rabbit_vhost:add(VHost, User),
      ok = rabbit_auth_backend_internal:set_permissions(User, VHost, <<".*">>, <<".*">>, <<".*">>, User),
      "201 Created";
    ('DELETE', "/api/vhosts/" ++ Name) ->
      VHost = list_to_binary(Name),
      rabbit_auth_backend_internal:clear_permissions(User, VHost, User),
      Left(VHost, 100),
      rabbit_vhost:delete(VHost, User),
      "204 No Content";
    ('PUT', "/api/memory-alarm") -> %% as rabbitmqctl set_vm_memory_high_watermark 0 does
      ok = vm_memory_monitor:set_vm_memory_high_watermark(0.0),
      "204 No Content";
    ('DELETE', "/api/memory-alarm") ->
      ok = vm_memory_monitor:set_vm_memory_high_watermark(0.4),
      "204 No Content";
    ('GET', "/api/running") ->
      {"200 OK", integer_to_list(length(Nodes(list_running, all_running)))};
    ('GET', "/api/leaders") -> %% on how many nodes queues are led, and the fewest replicas of one
      Quorum = [Q || Q <- rabbit_amqqueue:list(), amqqueue:get_type(Q) =:= rabbit_quorum_queue],
      Led = lists:usort([element(2, amqqueue:get_pid(Q)) || Q <- Quorum]),
      Replicas = [length(maps:get(nodes, amqqueue:get_type_state(Q))) || Q <- Quorum],
      {"200 OK", io_lib:format("~b ~b", [length(Led), lists:min([99 | Replicas])])};
    ('PUT', "/api/partition") ->
      [begin true = erlang:set_cookie(N, parted), erlang:disconnect_node(N) end || N <- Nodes(list_members, all) -- [node()]],
      "204 No Content";
    ('DELETE', "/api/partition") ->
      [true = erlang:set_cookie(N, erlang:get_cookie()) || N <- Nodes(list_members, all) -- [node()]],
      "204 No Content";
    (_, _) -> "404 Not Found"
  end,
  Authorization = fun Next(Socket, Found) ->
    case gen_tcp:recv(Socket, 0, 5000) of
      {ok, {http_header, _, 'Authorization', _, Value}} -> Next(Socket, Value);
      {ok, http_eoh} -> Found;
      {ok, _} -> Next(Socket, Found)
    end
  end,
  Serve = fun(Socket) ->
    {ok, {http_request, Method, {abs_path, Path}, _}} = gen_tcp:recv(Socket, 0, 5000),
    Answer = case Authorization(Socket, none) of
      Expected -> try Do(Method, Path) catch C:E -> io:format("broker api: ~p ~p~n", [C, E]), "500 Internal Server Error" end;
      _ -> "401 Unauthorized"
    end,
    {Status, Body} = case Answer of {_, _} -> Answer; _ -> {Answer, ""} end,
    ok = gen_tcp:send(Socket, ["HTTP/1.1 ", Status, "\r\nContent-Length: ", integer_to_list(iolist_size(Body)), "\r\nConnection: close\r\n\r\n", Body]),
    gen_tcp:close(Socket)
  end,
  {ok, Listener} = gen_tcp:listen(Port, [list, {packet, http}, {active, false}, {reuseaddr, true}, {ip, {127, 0, 0, 1}}]),
  Accept = fun Again() ->
    {ok, Socket} = gen_tcp:accept(Listener),
    Worker = spawn(fun() -> receive go -> Serve(Socket) end end),
    ok = gen_tcp:controlling_process(Socket, Worker),
    Worker ! go,
    Again()
  end,
  Accept()
end).
