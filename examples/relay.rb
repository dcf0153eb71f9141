#!/usr/bin/env ruby
# frozen_string_literal: true

# Private totals of an account's posts, by X's own path through Countersign.
#
#   COUNTERSIGN_URL=http://127.0.0.1:8080 COUNTERSIGN_KEY=csk_... ruby relay.rb ACCOUNT POST_ID...
#
# A client of X builds an OAuth consumer from two keys, adds the user's access token and its secret, and signs each
# request. Here one key takes the place of all four, and the account is named in a header. Path, body and answer stay.

require 'json'
require 'net/http'

account, *posts = ARGV
abort 'usage: relay.rb ACCOUNT POST_ID...' if posts.empty?

uri = URI.join(ENV.fetch('COUNTERSIGN_URL', 'http://127.0.0.1:8080'), '/insights/engagement/totals')

request = Net::HTTP::Post.new(uri)
request['Authorization'] = "Bearer #{ENV.fetch('COUNTERSIGN_KEY')}"
request['Countersign-Account'] = account
request['Content-Type'] = 'application/json'
request.body = JSON.generate(
  'tweet_ids' => posts,
  'engagement_types' => %w[impressions engagements favorites retweets replies],
  'groupings' => { 'by_tweet' => { 'group_by' => ['tweet.id', 'engagement.type'] } }
)

response = Net::HTTP.start(uri.host, uri.port, use_ssl: uri.scheme == 'https', read_timeout: 35) do |http|
  http.request(request)
end

unless response.is_a?(Net::HTTPSuccess)
  # Only the gateway's own refusals carry this header; anything else is X's answer.
  source = response['Countersign-Error'] ? 'Countersign' : 'X'
  abort "#{source} answered #{response.code}: #{response.body}"
end

JSON.parse(response.body).fetch('by_tweet').each do |post, numbers|
  puts "#{post}: #{numbers.map { |type, count| "#{count} #{type}" }.join(', ')}"
end
