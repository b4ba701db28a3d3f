# A project under Compose: build, start in order, look, run, scale, take down.
mkdir -p app && printf 'FROM busybox\nCMD ["sleep","300"]\n' > app/Dockerfile
cat > compose.yaml <<'YAML'
name: shop
services:
  db:
    image: busybox
    command: sleep 300
    environment: {PASSWORD: secret}
    volumes: ["data:/data"]
    healthcheck: {test: ["CMD", "true"], interval: 1s, retries: 3}
    networks: {back: {aliases: [database]}}
  app:
    build: {context: app, args: {V: "1"}, labels: {team: blue}}
    ports: ["8081:80", "127.0.0.1:9443:443"]
    depends_on: {db: {condition: service_healthy}}
    restart: unless-stopped
    mem_limit: 64m
    cpus: 0.5
    read_only: true
    tmpfs: [/tmp]
    cap_drop: [ALL]
    security_opt: ["no-new-privileges:true"]
    user: "1000"
    stop_grace_period: 1s
    logging: {driver: json-file, options: {max-size: 1m}}
    networks: [front, back]
networks: {front: {}, back: {internal: true}}
volumes: {data: {}}
YAML
docker compose version
docker compose config -q
docker compose build
docker compose up -d --wait
docker compose ps -a
docker compose logs --tail 3
docker compose exec -T app echo hello
docker compose run --rm -T app echo once
docker compose top
docker compose port app 80
docker compose images
docker compose stop app
docker compose start app
docker compose restart -t 1 app
docker compose pause db
docker compose unpause db
docker compose kill -s HUP db
docker compose cp app:/etc/hostname hostname
docker compose up -d --force-recreate --no-deps db
docker compose ls -a
docker compose down -v --rmi local -t 1
