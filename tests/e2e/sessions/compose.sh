mkdir -p app && printf 'FROM busybox\nCMD ["sh","-c","echo begun; sleep 300"]\n' > app/Dockerfile; docker compose config -q

docker compose build --no-cache -q > built

docker compose up -d --wait 2>/dev/null

docker compose ps --format '{{.Service}} {{.State}} {{.Health}}' | sort

docker compose logs --no-log-prefix app

docker compose exec -T app echo hello

docker compose exec -T app ping -c 1 -q -W 2 database | sed -n 's/,.*loss//p'

docker compose run --rm -T --no-deps app echo once 2>/dev/null

docker compose run --rm -T --no-deps app sh -c 'exit 9'

docker compose port app 80

docker compose stop -t 0 app && docker compose start app && docker compose restart -t 0 app

docker compose up -d --force-recreate --no-deps db 2>/dev/null

docker compose ls --format json | sed 's/"ConfigFiles.*//'

docker compose down -v --rmi local -t 0 2>/dev/null

docker compose ps -aq
